//! The rules: what a secret of each kind looks like. Data, with examples of what each finds and of what it lets stand.
//!
//! `docs/redaction.md` is written from this table. No example is or was a secret: their characters were drawn by chance, and a `·`, which
//! is taken out before they are used, keeps those who look for secrets in source code from finding one.

use std::ops::RangeInclusive;

use super::forms;

/// One kind of secret.
#[derive(Debug)]
pub struct Rule {
    /// As it stands in the place of what was masked.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// How it is found.
    pub(super) form: Form,
    /// Texts with a secret of this kind.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests alone read the examples"))]
    pub(super) finds: &'static [&'static str],
    /// Texts that look much like it, and have no secret of any kind.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests alone read the examples"))]
    pub(super) lets_stand: &'static [&'static str],
}

/// How a kind of secret is found.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// One of these prefixes, and characters of an alphabet behind it.
    Token {
        prefixes: &'static [&'static str],
        alphabet: Alphabet,
        /// How many characters are behind the prefix.
        length: RangeInclusive<usize>,
        checksum: Checksum,
    },
    /// One of these literals, and an expression that matches from there on: its group `secret`, or all of it.
    Expression { literals: &'static [&'static str], pattern: &'static str },
    /// One of these literals, and a function that is given its place.
    Found { literals: &'static [&'static str], find: forms::Find },
    /// By the name in front of it.
    Named,
}

/// Which characters a token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// `A` to `Z` and `2` to `7`.
    Base32,
    /// `0` to `9` and `a` to `f`.
    Hex,
    /// ASCII letters and digits.
    Alphanumeric,
    /// The same and `_`.
    Word,
    /// The same, `_` and `-`.
    Base64Url,
    /// The same and `.`.
    Dotted,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
}

/// What tells a token from what only looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    None,
    /// Of 36 characters the last six are the CRC-32 of those before, in base 62. Of others there is none.
    Crc32Base62,
}

/// The rule of values that have a secret's name in front of them.
pub(super) const NAMED: &str = "secret-value";

const fn token(
    name: &'static str,
    what: &'static str,
    prefixes: &'static [&'static str],
    (alphabet, length): (Alphabet, RangeInclusive<usize>),
    finds: &'static [&'static str],
    lets_stand: &'static [&'static str],
) -> Rule {
    Rule { name, what, form: Form::Token { prefixes, alphabet, length, checksum: Checksum::None }, finds, lets_stand }
}

/// No limit that anything meets.
pub(super) const ANY: usize = usize::MAX;

/// All of them. Those of forms come before that of names.
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    Rule {
        name: "private-key",
        what: "private keys as PEM, OpenSSH, OpenPGP and SSH2 write them, whole or cut at their end, also in strings",
        form: Form::Found { literals: &["-BEGIN ", "- BEGIN "], find: forms::private_key },
        finds: &[
            "-----BEGIN RSA· PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu\nKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n-----END RSA PRIVATE KEY-----",
            "\"private_key\": \"-----BEGIN· PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\\n-----END PRIVATE KEY-----\\n\"",
            "---- BEGIN· SSH2 ENCRYPTED PRIVATE KEY ----\nComment: \"test\"\nP2/56wAAAgIAAAAmZGwtbW9kcHtzaWdue2RzYS1uaXN0LXNoYTF9\n",
            "-----BEGIN· PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\nlQHYBFx3Zk4BBADQb5xN2yH1vYkq3fE8sP7w\n",
        ],
        lets_stand: &[
            "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n-----END PUBLIC KEY-----",
            "a file that begins with -----BEGIN PRIVATE KEY----- is refused",
            "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----",
        ],
    },
    token("private-key-base64", "private keys as PEM, in base64 once more, as Kubernetes writes secrets",
        &["LS0tLS1CRUdJTiBQUklWQVRF", "LS0tLS1CRUdJTiBSU0EgUFJJVk", "LS0tLS1CRUdJTiBFQyBQUklW", "LS0tLS1CRUdJTiBPUEVOU1NIIF", "LS0tLS1CRUdJTiBFTkNSWVBURU", "LS0tLS1CRUdJTiBEU0EgUFJJVk"],
        (Alphabet::Base64, 16..=ANY),
        &["tls.key: LS0tLS1CRUdJTiBQUklWQVRF·IEtFWS0tLS0tCk1JSUV2UUlCQURBTkJn"],
        &["tls.crt: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUR"],
    ),
    Rule {
        name: "putty-private-key",
        what: "the private part of a key of PuTTY",
        form: Form::Found { literals: &["Private-Lines: "], find: forms::putty_key },
        finds: &["Private-Lines·: 2\nAAAAgQCbdO5Hq9xZB0mUtQkM2J7nTzXhC4fA\nAAAAQQDc1fN8mP0vKz3yWq6jRbEo\nPrivate-MAC: 00\n"],
        lets_stand: &["Private-Lines: 14 is how many there are"],
    },
    token("age-secret-key", "identities of age", &["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"], (Alphabet::Alphanumeric, 40..=ANY),
        &["AGE-SECRET-KEY-1·QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQ"],
        &["AGE-SECRET-KEY-1 begins an identity"],
    ),
    token("aws-access-key", "access key ids of AWS, lasting and temporary", &["AKIA", "ASIA", "ABIA", "ACCA"], (Alphabet::Base32, 16..=16),
        &["aws_access_key_id = AKIA·Z7QWERTYUIOP2345", "(ASIA·Q3MNBVCXLKJH4567)"],
        &["AKIAZ7QWERTYUIOP234", "AKIAZ7QWERTYUIOP23456", "AKIAZ7QWERTYUIOP2189", "XAKIAZ7QWERTYUIOP2345"],
    ),
    Rule {
        name: "azure-sas",
        what: "signatures of Azure's shared access URLs",
        form: Form::Expression { literals: &["?sig=", "&sig="], pattern: r"\A[?&]sig=(?P<secret>[A-Za-z0-9%+/=_-]{40,})" },
        finds: &["https://x.blob.core.windows.net/c?sv=2024-01-01&sig=·mN8vB2cX5zL1kJ4hG7fD0sA3pO6iU9yT%2Bq2w5E8r%3D&se=1"],
        lets_stand: &["/verify?sig=ok", "/verify?a=b&sig=none"],
    },
    token("google-api-key", "API keys of Google", &["AIza"], (Alphabet::Base64Url, 35..=35),
        &["?key=AIza·Sy8Kq2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk-_Q"],
        &["AIzaSy8Kq2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk-", "AIza is how they begin"],
    ),
    token("scout-key", "keys with which clients ask Scout over HTTP", &["scoutkey_"], (Alphabet::Base64Url, 56..=56),
        &["SCOUT=scoutkey_·0f1e2d3c4b5a_q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx"],
        &["scoutkey_", "scoutkey_0f1e2d3c4b5a", "scoutkey_id"],
    ),
    token("google-oauth", "access tokens and client secrets of Google", &["ya29.", "GOCSPX-"], (Alphabet::Base64Url, 20..=ANY),
        &["ya29.·a0AfH6SMBx7Kq2Lw9Xv3Nb6Mz1Cp", "GOCSPX-·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0H"],
        &["ya29.short", "GOCSPX-"],
    ),
    Rule {
        name: "github-token",
        what: "tokens of GitHub with a checksum that is right, and longer ones of installations",
        form: Form::Token {
            prefixes: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
            alphabet: Alphabet::Dotted,
            length: 36..=1024,
            checksum: Checksum::Crc32Base62,
        },
        finds: &["remote: ghp_·zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", "\\nghs_·zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17\\n"],
        lets_stand: &["ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "ghp_zQWBuTSOoRi4A9s", "w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"],
    },
    token("github-fine-grained-token", "fine-grained tokens of GitHub", &["github_pat_"], (Alphabet::Word, 60..=100),
        &["github_pat_·11ABCDEFG0aBcDeFgHiJkL_q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5Kc0"],
        &["github_pat_ begins one", "github_pat_11ABCDEFG0"],
    ),
    token("gitlab-token", "tokens of GitLab: personal, deploy, runner, job, trigger, feed, agent and others",
        &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "gloas-", "glffct-"],
        (Alphabet::Dotted, 20..=400),
        &["glpat-·x7Kq2Lw9Xv3Nb6Mz1Cp5", "token: glrt-·x7Kq2Lw9Xv3Nb6Mz1Cp5."],
        &["glpat-short", "glrt- tokens"],
    ),
    token("slack-token", "tokens of Slack", &["xoxb-", "xoxp-", "xoxa-", "xoxe-", "xoxe.xoxp-", "xoxr-", "xoxs-", "xoxo-", "xapp-"], (Alphabet::Base64Url, 20..=400),
        &["xoxb-·304858293746-q8Kd2Lw9Xv3Nb6Mz1Cp5Td7R", "xapp-·1-A04KQ2LW9XV-q8Kd2Lw9Xv3Nb6"],
        &["xoxb-token", "xoxo- hugs"],
    ),
    Rule {
        name: "webhook",
        what: "addresses of webhooks of Slack, Discord and Teams, which are all that who posts there needs",
        form: Form::Expression {
            literals: &["hooks.slack.com/", "discord.com/api/w", "discordapp.com/api/w", "webhook.office.com/"],
            pattern: r"\A(?:hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d+/|webhook\.office\.com/webhookb2/)(?P<secret>[A-Za-z0-9_@/-]{20,})",
        },
        finds: &["https://hooks.slack.com/services/·T04KQ2LW9/B05XV3NB6/q8Kd2Lw9Xv3Nb6Mz1Cp5Td7R", "https://discord.com/api/webhooks/1029384756/·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6"],
        lets_stand: &["https://hooks.slack.com/services/", "https://discord.com/api/webhooks/1029384756"],
    },
    token("stripe-key", "keys of Stripe: secret, restricted, of webhooks", &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"], (Alphabet::Base64, 16..=300),
        &["sk_live_·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7R", "whsec_·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8"],
        &["pk_live_q8Kd2Lw9Xv3Nb6Mz1Cp5Td7R", "sk_test_…", "sk_live_short"],
    ),
    Rule {
        name: "npm-token",
        what: "access tokens of npm, with a checksum that is right",
        form: Form::Token { prefixes: &["npm_"], alphabet: Alphabet::Alphanumeric, length: 36..=36, checksum: Checksum::Crc32Base62 },
        finds: &["//registry.example/: npm_·zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"],
        lets_stand: &["npm_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", "npm_config_cache=/root", "npm_lifecycle_event"],
    },
    token("pypi-token", "tokens of PyPI", &["pypi-AgE"], (Alphabet::Base64Url, 50..=ANY),
        &["pypi-AgE·IkLmN0pQrStCJDq8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3"],
        &["pypi-publish", "pypi-AgEIkLmN0pQrSt"],
    ),
    token("rubygems-token", "API keys of RubyGems", &["rubygems_"], (Alphabet::Hex, 48..=48),
        &["rubygems_·0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978"],
        &["rubygems_version", "rubygems_0f1e2d3c"],
    ),
    token("docker-token", "access tokens of Docker Hub", &["dckr_pat_", "dckr_oat_"], (Alphabet::Base64Url, 24..=64),
        &["dckr_pat_·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0H"],
        &["dckr_pat_short"],
    ),
    token("anthropic-key", "API keys of Anthropic", &["sk-ant-"], (Alphabet::Base64Url, 32..=300),
        &["sk-ant-·api03-q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5Kc0AA"],
        &["sk-ant-api03-", "sk-ant-…"],
    ),
    token("openai-key", "API keys of OpenAI", &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"], (Alphabet::Base64Url, 32..=300),
        &["OPENAI=sk-proj-·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3"],
        &["sk-proj-short", "sk-admin-panel"],
    ),
    Rule {
        name: "sk-key",
        what: "other keys that begin with `sk-`: of OpenAI's older ones, OpenRouter, DeepSeek and others",
        form: Form::Expression { literals: &["sk-"], pattern: r"\Ask-(?:or-v1-)?(?:[a-f0-9]{32,80}|[A-Za-z0-9]{32,80})(?:[^A-Za-z0-9_-]|\z)" },
        finds: &["sk-·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Q", "sk-·or-v1-0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"],
        lets_stand: &["sk-learn", "disk-0f1e2d3c4b5a69788796a5b4c3d2e1f0", "sk-SK"],
    },
    token("huggingface-token", "tokens of Hugging Face", &["hf_"], (Alphabet::Alphanumeric, 34..=34),
        &["hf_·qKdLwXvNbMzCpTdRfHgJkYsWnVtBxZmQpL"],
        &["hf_hub_download", "hf_cache"],
    ),
    Rule {
        name: "telegram-token",
        what: "tokens of Telegram's bots",
        form: Form::Found {
            literals: &["0:AA", "1:AA", "2:AA", "3:AA", "4:AA", "5:AA", "6:AA", "7:AA", "8:AA", "9:AA"],
            find: forms::telegram_token,
        },
        finds: &["https://api.telegram.org/bot1029384756:AA·Hq8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8"],
        lets_stand: &["00:16:3e:00:AA:bb", "1029384756:AAHq8Kd2Lw9", "12:AAHq8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8"],
    },
    Rule {
        name: "sendgrid-key",
        what: "API keys of SendGrid",
        form: Form::Expression { literals: &["SG."], pattern: r"\ASG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}" },
        finds: &["SG.·q8Kd2Lw9Xv3Nb6Mz1Cp5Td.7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5Kc0Yq8Kd2Lw9X"],
        lets_stand: &["MSG.q8Kd2Lw9Xv3Nb6Mz1Cp5Td.7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5Kc0Yq8Kd2Lw9X", "SG.1 is Singapore's"],
    },
    token("mailgun-key", "API keys of Mailgun", &["key-"], (Alphabet::Hex, 32..=32),
        &["api:key-·0f1e2d3c4b5a69788796a5b4c3d2e1f0"],
        &["key-value", "key-0f1e2d3c4b5a69788796a5b4c3d2e1f", "monkey-0f1e2d3c4b5a69788796a5b4c3d2e1f0"],
    ),
    token("digitalocean-token", "tokens of DigitalOcean", &["dop_v1_", "doo_v1_", "dor_v1_"], (Alphabet::Hex, 64..=64),
        &["dop_v1_·0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"],
        &["dop_v1_0f1e2d3c"],
    ),
    token("vault-token", "tokens of HashiCorp Vault", &["hvs.", "hvb.", "hvr."], (Alphabet::Base64Url, 24..=400),
        &["hvs.·CAESIq8Kd2Lw9Xv3Nb6Mz1Cp5Td7"],
        &["hvs.example.org", "hvb.local"],
    ),
    Rule {
        name: "terraform-token",
        what: "tokens of Terraform's cloud",
        form: Form::Found { literals: &[".atlasv1."], find: forms::terraform_token },
        finds: &["q8Kd2Lw9Xv3Nb6.atlasv1.·Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5Kc0Yq8Kd2Lw9Xv3Nb6Mz1Cp5Td"],
        lets_stand: &["q8Kd2Lw9Xv3Nb6.atlasv1.", ".atlasv1.Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5Kc0Yq8Kd2Lw9Xv3Nb6"],
    },
    token("databricks-token", "tokens of Databricks", &["dapi"], (Alphabet::Hex, 32..=34),
        &["dapi·0f1e2d3c4b5a69788796a5b4c3d2e1f0"],
        &["dapi0f1e2d3c", "dapiX"],
    ),
    token("grafana-token", "tokens of Grafana", &["glsa_", "glc_"], (Alphabet::Base64, 32..=400),
        &["glc_·eyJvIjoiMTAyOTM4IiwibiI6InRlc3QiLCJrIjoiIn0="],
        &["glsa_short"],
    ),
    token("cloud-token", "tokens of Shopify, Supabase, Doppler, Linear, Notion, Postman, New Relic, PlanetScale, Atlassian, Tailscale, Pulumi, Sentry, Heroku and Fly.io",
        &["shpat_", "shpca_", "shppa_", "shpss_", "sbp_", "dp.pt.", "dp.st.", "lin_api_", "ntn_", "PMAK-", "NRAK-", "pscale_tkn_", "pscale_oauth_", "pscale_pw_", "ATATT3", "ATCTT3", "tskey-", "pul-", "sntrys_", "sntryu_", "HRKU-", "fm2_"],
        (Alphabet::Base64Url, 24..=1000),
        &["shpat_·0f1e2d3c4b5a69788796a5b4c3d2e1f0", "tskey-·auth-kq8Kd2Lw9X-v3Nb6Mz1Cp5Td7Rf0Hg4", "lin_api_·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8"],
        &["pul-request", "sbp_short", "NRAK-"],
    ),
    Rule {
        name: "json-web-token",
        what: "JSON web tokens",
        form: Form::Found { literals: &["eyJ"], find: forms::json_web_token },
        finds: &["eyJ·hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMDI5Mzg0NzU2In0.q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4"],
        lets_stand: &["eyJhbGciOiJIUzI1NiJ9", "heyJude.song.mp3", "eyJ.eyJ."],
    },
    Rule {
        name: "url-password",
        what: "the password of a URL, `https://user:password@host`, or what stands in its place",
        form: Form::Found { literals: &["://", ":\\/\\/"], find: forms::url_password },
        finds: &["postgres://app:·q8Kd2Lw9@db:5432/app", "redis://:·q8Kd2Lw9@cache/0", "https://·q8Kd2Lw9Xv3Nb6Mz1Cp5Td@git.example.org/x"],
        lets_stand: &["https://registry.example:4873/@scope/package", "ssh://git@example.org/x", "http://user:password@host/", "http://${USER}:${PASS}@host", "http://a:***@h", "see https://example.org: a@b"],
    },
    Rule {
        name: "bearer-token",
        what: "what follows `Bearer` where HTTP is spoken",
        form: Form::Expression { literals: &["Bearer ", "bearer ", "BEARER "], pattern: r"\A(?i:bearer) +(?P<secret>[A-Za-z0-9._~+/=-]{16,})" },
        finds: &["Authorization: Bearer ·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7R", "-H 'authorization: bearer ·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7R'"],
        lets_stand: &["Bearer token-authentication-is-required", "bearer authentication"],
    },
    Rule {
        name: "basic-credentials",
        what: "what follows `Basic` where HTTP is spoken: a user and a password in base64",
        form: Form::Found { literals: &["Basic ", "basic ", "BASIC "], find: forms::basic_credentials },
        finds: &["Authorization: Basic ·YW5uOnE4S2QyTHc5"],
        lets_stand: &["Basic authentication", "basic YW5uYmJiYmJi", "WWW-Authenticate: Basic realm=x"],
    },
    Rule {
        name: "cookie",
        what: "what the headers `Cookie` and `Set-Cookie` hold",
        form: Form::Found { literals: &["ookie: ", "OOKIE: "], find: forms::cookies },
        finds: &["Cookie: a=b; ·sid=q8Kd2Lw9Xv3Nb6Mz\r\n", "Set-Cookie: ·sid=q8Kd2Lw9Xv3Nb6Mz; Path=/"],
        lets_stand: &["Cookie: yes", "cookie: a=b; lang=en\n", "Set-Cookie: theme=dark; Path=/"],
    },
    Rule {
        name: "password-hash",
        what: "hashes of passwords as crypt(5) and Argon2 write them",
        form: Form::Expression {
            literals: &["$1$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$2a$", "$2b$", "$2x$", "$2y$", "$md5", "$apr1$", "$sha1$", "$argon2", "$scrypt$", "$pbkdf2"],
            pattern: r"\A\$(?:1|2[abxy]|5|6|7|y|gy|apr1|md5|sha1|argon2(?:i|d|id)|scrypt|pbkdf2[a-z0-9-]*)[$,][A-Za-z0-9./$=,+-]{20,}",
        },
        finds: &["ann:$6$·q8Kd2Lw9$Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5:19000:0", "$2b$·12$q8Kd2Lw9Xv3Nb6Mz1Cp5TduRf0Hg4Jk8Ys2Wn6Vt9Bx3Zm7Qp1Lr5", "$argon2id·$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0"],
        lets_stand: &["awk '{print $1$2}'", "cost $5$ or $6$", "$1$short"],
    },
    Rule {
        name: "program-password",
        what: "passwords that are given to curl and sshpass on their command line, and those of .netrc and Redis",
        form: Form::Expression {
            literals: &["curl ", "sshpass ", "machine ", "requirepass ", "masterauth "],
            pattern: r#"\A(?:curl [^\n|;&]{0,200}?(?:-[A-Za-z]*[uU]|--user|--proxy-user)[\s=]*["']?[^\s:"']{1,80}:(?P<a>[^\s"'$*<]{3,})|sshpass +-p *["']?(?P<b>[^\s"'$*<]{3,})|machine +\S{1,200}\s+login +\S{1,100}\s+password +(?P<c>[^\s$*<]{3,})|(?:requirepass|masterauth) +["']?(?P<d>[^\s"'$*<]{6,}))"#,
        },
        finds: &["curl -s -u ann:·q8Kd2Lw9 https://h", "sshpass -p ·q8Kd2Lw9 ssh h", "machine h login ann password ·q8Kd2Lw9", "requirepass ·q8Kd2Lw9"],
        lets_stand: &["curl -s https://h", "sshpass -e ssh h", "machine h", "docker run -u 1000:1000 x", "curl -u ann:$PASS h"],
    },
    Rule {
        name: NAMED,
        what: "values behind a name that says so (`DB_PASSWORD=…`, `\"apiKey\": \"…\"`, `--token …`) and that are likely to be secret: of passwords six characters with letters and others among them, of keys and tokens 16 with digits that no words and numbers are",
        form: Form::Named,
        finds: &[
            "DB_PASSWORD=·hunter2", "password: ·q8Kd2Lw9", "{\"password\":\"·q8K\\\"d2Lw9\",\"x\":1}", "--password ·q8Kd2Lw9 --x", "--token=·q8Kd2Lw9Xv3Nb6Mz1Cp",
            "<password>·q8Kd2Lw9</password>", "aws_secret_access_key = ·q8Kd2Lw9/Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6", "AccountKey=·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6==;EndpointSuffix=x",
            "api_key: '·0f1e2d3c4b5a69788796a5b4c3d2e1f0'", "export TWILIO_AUTH_TOKEN=·0f1e2d3c4b5a69788796a5b4c3d2e1f0", "token: ·550e8400-e29b-41d4-a716-446655440000",
            "/login?password=·q8Kd2Lw9&user=ann", "Server=db;Password=·q8Kd2Lw9;User=ann", "PrivateKey = ·q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9E=",
        ],
        lets_stand: &[
            "password=changeme", "DB_PASSWORD=${DB_PASSWORD}", "password: *****", "password=", "password: /run/secrets/db1", "password=true", "PASSWORD=$(cat f1)", "token: {{ vault.token1 }}",
            "password: <your password1>", "Failed password for root from 192.0.2.1 port 22 ssh2", "passwd: files systemd", "secretName: db-credentials-v2", "token = response.oauth2_token()",
            "max_tokens=4096", "token_expires_at: 2026-11-12T10:11:12Z", "PasswordAuthentication no", "password: required", "password_file=/etc/x1", "auth: public-key", "pwd=/srv/app1",
            "session: opened2 for user root", "key=q8Kd2Lw9Xv3Nb6Mz1Cp5", "sshd[1]: Accepted publickey for a from 192.0.2.1 port 2 ssh2: ED25519 SHA256:q8Kd2Lw9Xv3Nb6Mz1Cp5Td7Rf0Hg4Jk8Ys2Wn6Vt9", "password = getpass(prompt1)",
            "secret: my-app-config-map-2", "password: xxxxxxxx", "credentials: sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        ],
    },
];
