//! Each kind of secret with paths that are held and paths beside them that are not, and what it costs to tell.

use super::*;

/// A kind, paths that are held from files and commands, and such as are not.
const KINDS: &[(&str, &str, &str)] = &[
    (
        "copies of what is listed",
        "~/.netrc~ ~/.netrc.bak ~/.pgpass.bak ~/.my.cnf~ ~/.git-credentials.bak ~/.aws/credentials.bak ~/.aws/credentials~
         ~/.docker/config.json.bak ~/.kube/config.bak ~/.gnupg.bak /etc/passwd~ /etc/passwd.bak /etc/passwd- /etc/passwd-20260101
         /etc/.passwd.swp /etc/ssh/ssh_host_rsa_key.bak /etc/ssh/ssh_host_ed25519_key~ ~/.ssh.bak/id_rsa ~/.ssh_old/work
         /etc/.shadow.swp /etc/#shadow# /etc/.#shadow /etc/shadow.bak.gz ~/.netrc.1 ~/.netrc.2026-11-29 ~/.netrc.~1~
         ~/.netrc.swp ~/.npmrc.orig ~/.npmrc.rpmsave ~/.npmrc.dpkg-old /etc/krb5.keytab- ~/.vault-token.old.1
         /etc/kubernetes/admin.conf.save ~/id_rsa.old /srv/wp-config.php.bak /etc.old/shadow /home/me/etc.bak/sudoers",
        "/etc/passwd /etc/hosts~ /etc/fstab.bak /var/log/syslog.1 /var/log/nginx/access.log.2.gz ~/.bashrc~ ~/.netrc.txt/x
         /etc/group- ~/notes.old /etc/ssh/sshd_config.bak /etc/ssh/ssh_host_rsa_key.pub /usr/lib/python3.11/x ~/.gitconfig.bak",
    ),
    (
        "listed files below other roots",
        "/host/etc/shadow /rootfs/etc/shadow /mnt/etc/shadow /run/host/etc/shadow /old_root/etc/shadow /srv/chroot/etc/shadow
         /var/lib/docker/overlay2/0a/diff/etc/shadow /var/lib/docker/overlay2/0a/merged/etc/shadow
         /var/lib/containers/storage/overlay/0a/diff/etc/shadow /run/containerd/io.containerd.runtime.v2.task/k8s.io/0a/rootfs/etc/shadow
         /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/etc/shadow /var/lib/lxc/a/rootfs/etc/shadow
         /var/lib/machines/a/etc/shadow /snap/core/current/etc/shadow /overlay/upper/etc/shadow /rom/etc/shadow
         /home/me/backup/etc/shadow /mnt/etc/ssh/ssh_host_rsa_key /usr/local/etc/ssh/ssh_host_rsa_key /usr/etc/ssh/ssh_host_rsa_key
         /opt/homebrew/etc/ssh/ssh_host_rsa_key /usr/local/etc/wireguard/wg0.conf /usr/local/etc/ssl/private/a.key /usr/etc/shadow
         /mnt/disk/var/lib/kubelet/pki/kubelet.pem /mnt/proc/1/environ /compat/linux/proc/1/environ /usr/compat/linux/proc/1/environ
         /host/proc/1/root/etc/shadow /mnt/etc/shadow.bak",
        "/host/etc/passwd /mnt/etc/ssh/sshd_config /srv/shadow /home/me/shadow /mnt/etc/hostname /var/lib/machines/a/etc/os-release
         /host/proc/1/status /srv/etc/nginx/nginx.conf /opt/app/etc/app.conf",
    ),
    (
        "keys by their names",
        "/srv/id_rsa /opt/deploy/id_ed25519 ~/keys/id_ecdsa_sk ~/id_rsa_work /etc/x.p12 ~/x.pfx ~/putty.ppk ~/.ssh2/id_dsa_2048_a
         /etc/ssh/user_ca /etc/ssh/host-ca /etc/ssh/ssh_ca_key /etc/pki/CA/private/cakey.pem /etc/pki/nssdb/key4.db
         /etc/pki/consumer/key.pem /etc/pki/entitlement/1-key.pem ~/.acme.sh/example.org/example.org.key ~/.lego/accounts/a/b/account.json
         /etc/traefik/acme.json /var/lib/caddy/.local/share/caddy/certificates/acme/example.org/example.org.key
         /var/lib/acme/example.org/key.pem /var/lib/dehydrated/certs/example.org/privkey.pem /etc/docker/certs.d/r/client.key
         ~/.docker/key.pem ~/.docker/ca-key.pem ~/.docker/contexts/tls/0a/docker/key.pem /etc/letsencrypt/cloudflare.ini
         /etc/letsencrypt/renewal/example.org.conf /etc/letsencrypt/live/example.org/privkey.pem",
        "/srv/id_rsa.pub ~/keys/id_ed25519_sk.pub ~/id_rsa-cert.pub ~/.ssh2/id_dsa_2048_a.pub /etc/ssh/user_ca.pub
         /etc/ssh/trusted_user_ca /etc/ssh/moduli /etc/ssl/certs/ca-certificates.crt /etc/letsencrypt/live/example.org/fullchain.pem
         /etc/letsencrypt/live/example.org/cert.pem /var/lib/acme/example.org/fullchain.pem /etc/docker/certs.d/r/ca.crt
         ~/.acme.sh/example.org/fullchain.cer /var/lib/caddy/.local/share/caddy/certificates/acme/example.org/example.org.crt
         /etc/docker/daemon.json /etc/nginx/ssl/example.org.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/openssl.cnf",
    ),
    (
        "networks",
        "/etc/openvpn/server.conf /etc/openvpn/client/auth.txt /etc/ipsec.d/private/a.pem /etc/ipsec.secrets /etc/ipsec.a.secrets
         /etc/strongswan/ipsec.d/private/a.pem /etc/swanctl/swanctl.conf /etc/swanctl/private/a.pem /etc/xl2tpd/l2tp-secrets
         /etc/ppp/chap-secrets /etc/racoon/psk.txt /etc/tinc/vpn/rsa_key.priv /var/lib/tailscale/tailscaled.state
         /var/lib/zerotier-one/identity.secret /etc/wpa_supplicant/wpa_supplicant-wlan0.conf /etc/netplan/50-cloud-init.yaml
         /var/lib/iwd/home.psk /run/NetworkManager/system-connections/a.nmconnection /var/lib/NetworkManager/secret_key
         /etc/hostapd/hostapd.conf /etc/config/wireless",
        "/etc/openvpn/ca.crt /etc/ipsec.conf /etc/ipsec.d/cacerts/ca.pem /etc/strongswan.conf /etc/swanctl/x509/a.pem
         /etc/ppp/options /etc/tinc/vpn/tinc.conf /var/lib/zerotier-one/identity.public /etc/NetworkManager/NetworkManager.conf
         /etc/config/network /etc/network/interfaces /etc/resolv.conf",
    ),
    (
        "systems, disks and how they start",
        "/etc/credstore/a /etc/credstore.encrypted/a /run/credstore/a /usr/lib/credstore/a /run/credentials/x.service/key
         /var/lib/systemd/credential.secret /etc/cryptsetup-keys.d/root.key /run/cryptsetup-keys.d/root.key /etc/luks-keys/a
         /crypto_keyfile.bin /etc/zfs/keys/tank /var/lib/systemd/home/me.identity /home/me/.identity /var/lib/sbctl/keys/db/db.key
         /boot/grub/user.cfg /boot/grub2/user.cfg /var/lib/systemd/coredump/core.x.zst",
        "/etc/crypttab /etc/fstab /boot/grub/grub.cfg /etc/zfs/zpool.cache /var/lib/systemd/random-seed/x /etc/environment
         /etc/default/grub /etc/crontab",
    ),
    (
        "clusters and containers",
        "/var/lib/kubelet/pods/a/volumes/kubernetes.io~secret/b/c /var/lib/kubelet/pods/a/volumes/kubernetes.io~projected/b/token
         /var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/b/mount/c /var/lib/kubelet/kubeconfig /var/lib/kubelet/bootstrap-kubeconfig
         /var/lib/kubelet/config.json /var/lib/etcd/member/snap/db /var/lib/rancher/k3s/server/token /var/lib/rancher/rke2/server/cred/a
         /etc/rancher/rke2/rke2.yaml /etc/rancher/k3s/config.yaml /etc/rancher/k3s/registries.yaml /var/lib/k0s/pki/admin.conf
         /var/snap/microk8s/current/credentials/client.config ~/.minikube/profiles/a/client.key ~/.talos/config ~/.config/argocd/config
         ~/.config/helm/registry/config.json /srv/kubeconfig /srv/prod.kubeconfig ~/.kube/config-prod /etc/kubernetes/enc.yaml
         /etc/kubernetes/tokens/a /etc/kubernetes/token.csv /etc/kubernetes/azure.json /etc/kubernetes/ssl/apiserver.key
         /var/lib/docker/volumes/a/_data/b /var/lib/docker/swarm/certificates/swarm-node.key /var/lib/docker/containers/a/config.v2.json
         /var/lib/docker/containers/a/mounts/secrets/b /var/lib/containers/storage/secrets/filedriver/secretsdata.json ~/.dockercfg
         /run/user/1000/containers/auth.json /run/containers/0/auth.json /etc/containers/auth.json ~/.config/containers/auth.json
         ~/.config/lxc/client.key /var/lib/lxd/database/local.db /etc/libvirt/secrets/a.xml /etc/pve/priv/authkey.key",
        "/var/lib/kubelet/config.yaml /var/lib/kubelet/pods/a/volumes/kubernetes.io~configmap/b/c /etc/kubernetes/manifests/etcd.yaml
         /etc/kubernetes/pki/ca.crt /var/lib/rancher/k3s/agent/etc/containerd/config.toml ~/.kube/cache/a ~/.docker/daemon.json
         /var/lib/docker/containers/a/a-json.log /etc/containers/registries.conf /etc/libvirt/libvirtd.conf /etc/pve/storage.cfg",
    ),
    (
        "clouds and command lines",
        "~/.aws/config ~/.aws/login/cache/a ~/.boto ~/.s3cfg ~/.passwd-s3fs ~/.config/rclone/rclone.conf ~/.config/doctl/config.yaml
         ~/.config/hcloud/cli.toml ~/.config/linode-cli ~/.oci/config ~/.aliyun/config.json ~/.config/scw/config.yaml
         ~/.config/openstack/clouds.yaml ~/admin-openrc.sh ~/.fly/config.yml ~/.config/netlify/config.json
         ~/.local/share/com.vercel.cli/auth.json ~/.config/.wrangler/config/default.toml ~/.cloudflared/cert.pem
         ~/.config/ngrok/ngrok.yml ~/.databrickscfg ~/.snowsql/config ~/.config/glab-cli/config.yml ~/.config/hub ~/.config/tea/config.yml
         ~/.terraformrc /srv/terraform.tfstate /srv/terraform.tfstate.backup /srv/prod.tfvars ~/.pulumi/credentials.json ~/.vault_pass
         /srv/.vault_pass.txt ~/.config/sops/age/keys.txt ~/.password-store/a.gpg ~/.local/share/keyrings/login.keyring
         ~/.local/share/kwalletd/kdewallet.kwl ~/a.kdbx '~/.config/Bitwarden CLI/data.json' ~/.config/op/config ~/.claude/.credentials.json
         ~/.claude.json ~/.codex/auth.json ~/.gemini/oauth_creds.json ~/.config/github-copilot/hosts.json ~/.cursor/mcp.json
         ~/.cache/huggingface/token ~/.config/openai/a ~/.config/wandb/settings ~/.kaggle/kaggle.json",
        "~/.config/gh/config.yml ~/.terraform.d/plugin-cache/a /srv/main.tf /srv/variables.tf ~/.config/htop/htoprc
         /srv/app/.claude/commands/review.md /srv/app/.claude/CLAUDE.md /srv/app/.cursor/rules/a.mdc ~/.cache/huggingface/hub/a
         /srv/openrc /etc/openstack/a.conf",
    ),
    (
        "packages, builds and configuration management",
        "~/.gem/credentials ~/.bundle/config ~/.config/composer/auth.json ~/.m2/settings.xml ~/.m2/settings-security.xml
         ~/.gradle/gradle.properties ~/.nuget/NuGet/NuGet.Config ~/.yarnrc.yml ~/.config/pip/pip.conf /etc/pip.conf ~/.authinfo
         ~/.authinfo.gpg /etc/apt/auth.conf /etc/apt/auth.conf.d/a.conf /etc/zypp/credentials.d/SCC /var/lib/jenkins/secrets/master.key
         /var/lib/jenkins/credentials.xml /var/jenkins_home/secrets/a /etc/gitlab/gitlab-secrets.json /etc/gitlab-runner/config.toml
         /etc/gitea/app.ini /opt/actions-runner/.credentials /opt/actions-runner/.credentials_rsaparams
         /etc/puppetlabs/puppet/ssl/private_keys/a.pem /etc/chef/client.pem /etc/salt/pki/minion/minion.pem /etc/drone/a
         /etc/buildkite-agent/buildkite-agent.cfg",
        "/srv/app/gradle.properties /srv/app/composer.json /etc/apt/sources.list /etc/apt/apt.conf.d/a ~/.gemrc /srv/app/pom.xml
         /var/lib/jenkins/jobs/a/config.xml /etc/puppetlabs/puppet/puppet.conf /etc/puppetlabs/puppet/ssl/certs/ca.pem
         /etc/salt/minion /etc/salt/pki/minion/minion.pub /etc/chef/client.rb /etc/chef/trusted_certs/a.crt",
    ),
    (
        "databases and services",
        "~/.mysql_history ~/.psql_history ~/.pg_service.conf ~/.rediscli_auth /var/lib/rabbitmq/.erlang.cookie ~/.cassandra/credentials
         ~/.influxdbv2/configs /etc/redis/redis.conf /etc/pgbouncer/userlist.txt /etc/proxysql.cnf /etc/dbconfig-common/a.conf
         /var/lib/samba/private/passdb.tdb /var/lib/samba/private/secrets.tdb /etc/ldap.secret /etc/sssd/sssd.conf /var/lib/sss/db/a.ldb
         /etc/krb5kdc/stash /var/lib/krb5kdc/principal /etc/http.keytab /tmp/krb5cc_1000 /run/user/1000/krb5cc /etc/postfix/sasl_passwd
         /etc/postfix/sasl_passwd.db /etc/exim4/passwd.client /etc/dkimkeys/a.private /etc/opendkim/keys/example.org/mail.private
         /etc/bind/rndc.key /etc/bind/Kexample.org.+008+1.private /etc/snmp/snmpd.conf /var/lib/snmp/snmpd.conf
         /etc/freeradius/3.0/clients.conf /etc/raddb/clients.conf /etc/munge/munge.key /etc/slurm/slurmdbd.conf /etc/corosync/authkey
         /etc/ceph/ceph.client.admin.keyring /var/lib/ceph/osd/ceph-0/keyring /etc/rsyncd.secrets /var/lib/tor/keys/a
         /var/lib/tor/site/hs_ed25519_secret_key /etc/consul.d/consul.hcl /etc/nomad.d/nomad.hcl /etc/zabbix/agent.psk
         /etc/matrix-synapse/homeserver.signing.key /var/lib/extrausers/shadow /etc/tcb/root/shadow",
        "/etc/mysql/my.cnf /etc/postgresql/16/main/postgresql.conf /etc/samba/smb.conf /etc/ldap/ldap.conf /etc/krb5.conf
         /etc/postfix/main.cf /etc/opendkim/keys/example.org/mail.txt /etc/bind/named.conf /etc/bind/Kexample.org.+008+1.key
         /etc/slurm/slurm.conf /etc/corosync/corosync.conf /etc/ceph/ceph.conf /etc/rsyncd.conf /var/lib/tor/site/hostname
         /etc/zabbix/zabbix_agentd.conf /etc/redis-sentinel-notes",
    ),
    (
        "applications, histories and how hosts were made",
        "/srv/app/.env /srv/app/.env.production /srv/app/.envrc /var/www/wp-config.php /var/www/.htpasswd /srv/app/config/master.key
         /srv/app/config/secrets.yml /srv/app/.streamlit/secrets.toml /etc/tomcat9/tomcat-users.xml ~/.bash_history ~/.zsh_history
         ~/.local/share/fish/fish_history ~/.python_history ~/.viminfo ~/.mozilla/firefox/a.default/logins.json
         ~/.mozilla/firefox/a.default/key4.db ~/.mozilla/firefox/a.default/cookies.sqlite '~/.config/google-chrome/Default/Login Data'
         ~/.config/chromium/Default/Cookies ~/.thunderbird/a.default/prefs.js ~/.vnc/passwd ~/.Xauthority
         ~/.local/share/remmina/a.remmina ~/.config/filezilla/sitemanager.xml ~/.msmtprc ~/.fetchmailrc ~/.bitcoin/wallet.dat
         /var/lib/cloud/instance/user-data.txt /var/lib/cloud/instances/i-0a/user-data.txt.i /run/cloud-init/instance-data-sensitive.json
         /var/lib/waagent/ovf-env.xml /var/cache/debconf/passwords.dat /srv/preseed.cfg /root/anaconda-ks.cfg
         /var/spool/cron/crontabs/root /var/mail/root /var/spool/mail/me ~/Library/Keychains/login.keychain-db /etc/kcpassword",
        "/srv/app/.env.example /srv/app/.env.sample /srv/app/.env/bin/activate /var/www/wp-config-sample.php /var/www/.htaccess
         /srv/app/config/database.yml.example /etc/tomcat9/server.xml ~/.vimrc ~/.bashrc ~/.mozilla/firefox/profiles.ini
         ~/.config/chromium/Default/Preferences /run/cloud-init/instance-data.json /var/lib/cloud/data/status.json
         /var/cache/debconf/config.dat /etc/cron.d/e2scrub_all /srv/history /etc/tomcat9/web.xml",
    ),
    (
        "Scout's own",
        "~/.config/scout/scout.toml ~/.local/state/scout/audit.jsonl ~/.local/state/scout/audit.jsonl.1 ~/.config/scout/scout.toml.bak
         /etc/scout/scout.toml",
        "~/.config/scout/scout.lock /usr/share/doc/scout/README.md",
    ),
];

/// Paths of a column; those with a space stand in quotes.
fn paths(column: &str) -> Vec<String> {
    let mut parts = column.split('\'');
    let mut all = Vec::new();
    while let Some(plain) = parts.next() {
        all.extend(plain.split_whitespace().map(str::to_owned));
        all.extend(parts.next().map(str::to_owned));
    }
    all
}

fn head(path: &str) -> Result<(), Refusal> {
    verdict(&format!("head '{}'", path.strip_prefix("~/").unwrap_or(path)))
}

#[test]
fn each_kind_of_secret_is_held_from_files_and_commands_and_its_neighbours_are_not() {
    let mut wrong = Vec::new();
    for (kind, held, read) in KINDS {
        for path in paths(held) {
            let place = path.replacen('~', "/home/me", usize::from(path.starts_with("~/")));
            let secrets = SecretPaths::default();
            let verdicts =
                [check_path(path.as_bytes()), secrets.check_true_path(&remote("link"), place.as_bytes()), head(&path)];
            if verdicts.iter().any(Result::is_ok) {
                wrong.push(format!("{kind}: {path} is not held: {verdicts:?}"));
            }
        }
        for path in paths(read) {
            if let Err(refusal) = check_path(path.as_bytes()) {
                wrong.push(format!("{kind}: {refusal}"));
            }
            if let Err(refusal) = head(&path)
                && !refusal.why.contains("is not opened by commands")
            {
                wrong.push(format!("{kind}: {refusal}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_refusal_tells_what_it_is_a_copy_of_and_where_else_it_lies() {
    for (path, why) in [
        ("~/.netrc", "**/.netrc holds credentials of databases and services"),
        ("~/.netrc.bak", "a copy of **/.netrc, which holds credentials of databases and services"),
        ("/mnt/etc/shadow", "/etc/shadow below another root, which holds password hashes"),
        ("/mnt/etc/kcpassword~", "a copy of /etc/kcpassword below another root, which holds password hashes"),
    ] {
        let refusal = check_path(path.as_bytes()).expect_err(path);
        assert_eq!(refusal.why, format!("is on the list of secret paths: {why}"));
    }
}

#[test]
fn the_operator_opens_again_what_a_form_holds() {
    let readable =
        ["**/.netrc.bak", "/mnt/etc/shadow", "/srv/tests/**", "**/ca.key", "/etc/letsencrypt/renewal/**", "/data/**"];
    let secrets = SecretPaths::new(Vec::new(), patterns(&readable));
    for path in ["~/.netrc.bak", "/mnt/etc/shadow", "/srv/tests/id_rsa", "/etc/letsencrypt/renewal/a.conf"] {
        assert!(check_path(path.as_bytes()).is_err(), "{path}");
        assert_eq!(secrets.check_path(&remote(path)), Ok(()), "{path}");
        assert_eq!(secrets.check_true_path(&remote("link"), path.as_bytes()), Ok(()), "{path}");
    }
    for path in ["~/.netrc", "~/.netrc.old", "/mnt2/etc/shadow", "/srv/id_rsa"] {
        assert!(secrets.check_path(&remote(path)).is_err(), "{path}");
    }
    assert_eq!(check_with(&secrets, CommandPolicy::ReadOnly, &pipeline("cat ca.key")), Ok(()));
    let key = pem("PRIVATE KEY");
    assert_eq!(secrets.check_content(&remote(b"/data/a.pem"), b"/data/a.pem", &key), Ok(()));
    assert!(secrets.check_content(&remote(b"/data/a.pem"), b"/srv/a.pem", &key).is_err(), "the place counts");
}

#[test]
fn what_the_operator_adds_is_held_with_its_copies_in_its_place() {
    let added = patterns(&["/srv/vault/token", "**/private.txt"]);
    let added = added.into_iter().map(|pattern| (pattern, "scout.toml:3".to_owned())).collect();
    let secrets = SecretPaths::new(added, Vec::new());
    for path in ["/srv/vault/token", "/srv/vault/token.bak", "/a/private.txt~", "/host/srv/vault/token"] {
        assert!(secrets.check_path(&remote(path)).is_err(), "{path}");
    }
    assert_eq!(secrets.check_path(&remote(b"/home/me/srv/vault/token")), Ok(()), "it is one place");
}

refused! {
    globs_that_are_meant_for_secrets_are_refused: "cat .netrc.b*
        cat .net*k
        cat .netrc?
        cat /etc/.s*
        cat /etc/#*
        cat /host/etc/*
        cat /host/*/shadow
        cat /mnt/etc/*
        cat /mnt/etc/s*
        cat id_*
        cat id_r?a
        cat *.p12
        cat a*.kdbx
        cat wp-c*
        cat *.key
        cat site*.key
        cat /etc/nginx/ssl/*.key
        head /etc/ssl/*/*
        cat .env*
        cat .*_history
        grep -r x /etc/openvpn
        grep -r x /var/lib/etcd
        grep -r x /var/lib/*
        cat /srv/etc/kubernetes/*";
    keys_by_their_names_are_not_opened_by_commands: "cat server.key
        head /etc/nginx/ssl/example.org.key
        grep -c KEY /etc/haproxy/site.key
        cat /etc/haproxy/server-key.pem
        cat privkey.pem
        base64 a.key
        cat client.ovpn
        cat .git/config
        wc -c server.key.bak";
}

#[test]
fn other_globs_and_looks_that_only_tell_are_allowed() {
    all_allowed(
        "cat *
        cat /srv/*/*
        grep x *.php
        head *.yml *.json *.xml *.conf
        wc -l s*
        tail /var/log/*
        grep x /var/log/syslog*
        zcat /var/log/nginx/access.log*.gz
        cat /etc/nginx/conf.d/*
        cat *.pem
        cat *.crt
        cat /etc/ssl/certs/*
        cat /srv/app/*.log.1
        du -sh /var/lib/*
        ls -ld /var/lib/*
        ls /etc/openvpn
        ls -l id_rsa
        ls -l /etc/nginx/ssl/*.key
        stat server.key
        find / -name '*.key'
        cat server.pem
        cat /etc/ssl/certs/ca-certificates.crt
        cat id_rsa.pub
        cat /etc/bind/Kexample.key
        cat /etc/environment",
    );
}

fn pem(label: &str) -> Vec<u8> {
    format!("-----BEGIN {label}-----\nMIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEA\n-----END {label}-----\n")
        .into_bytes()
}

#[test]
fn a_key_is_held_by_what_the_file_holds() {
    let certificate = pem("CERTIFICATE");
    let escaped =
        br#"{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ"}"#;
    let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\nMIIB\n";
    let indented = b"key: |\n    -----BEGIN EC PRIVATE KEY-----\n    MHcCAQEEIIYmVfo1AAAAAAAA\n";
    let wide = |text: &[u8]| text.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<u8>>();
    let big_endian = |text: &[u8]| text.iter().flat_map(|byte| [0, *byte]).collect::<Vec<u8>>();
    for held in [
        &[b"\xff\xfe".to_vec(), wide(&pem("PRIVATE KEY"))].concat()[..],
        &[b"\xfe\xff".to_vec(), big_endian(&pem("OPENSSH PRIVATE KEY"))].concat(),
        // From an offset on.
        &wide(&[b"# me\r\n", &pem("PRIVATE KEY")[..]].concat()).split_off(3),
        b"{\"k\": \"-----BEGIN PRIVATE KEY-----\\u000aMIIEvQIBADANBgkqhkiG9w0BAQ\"}",
        b"<key>-----BEGIN PRIVATE KEY-----&#xA;MIIEvQIBADANBgkqhkiG9w0BAQ</key>",
        b"- -----BEGIN PRIVATE KEY-----\n- MIIEvQIBADANBgkqhkiG9w0BAQ\n",
        &pem("PRIVATE KEY")[..],
        &pem("RSA PRIVATE KEY"),
        &pem("ENCRYPTED PRIVATE KEY"),
        &pem("OPENSSH PRIVATE KEY"),
        &pem("NEBULA X25519 PRIVATE KEY"),
        &pem("PGP PRIVATE KEY BLOCK"),
        &[b"\xef\xbb\xbf\r\n".to_vec(), pem("PRIVATE KEY")].concat(),
        &[certificate.clone(), pem("PRIVATE KEY")].concat(),
        &[b"Bag Attributes\n    localKeyID: 01\n".to_vec(), pem("PRIVATE KEY")].concat(),
        &String::from_utf8(pem("PRIVATE KEY")).expect("text").replace('\n', "\r\n").into_bytes(),
        escaped,
        old,
        indented,
        b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
        b"openssh-key-v1\0\0\0\0\x04none",
        b"# created: 2026-11-29\nAGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQ\n",
        b"<tls-auth>\n-----BEGIN OpenVPN Static key V1-----\n0123456789abcdef0123456789abcdef\n",
        b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: a\n",
        b"KEY=-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0BAQ",
        b"  tls.key: LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Fo\n",
        b"LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0KYjNCbGJuTnphQzFyWlhrdA\n",
        b"[remote \"origin\"]\n\turl = https://me:hunter2@example.org/a.git\n",
        b"# mine\n[remote \"origin\"]\n\turl = https://ghp_0123456789abcdefghij@example.org/a.git\n",
        b"[http \"https://example.org/\"]\n\textraheader = AUTHORIZATION: basic eDp5\n",
    ] {
        assert!(held_by_content(held).is_some(), "{}", String::from_utf8_lossy(held));
    }
    for read in [
        &certificate[..],
        &wide(&certificate),
        b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        b"- `-----BEGIN PRIVATE KEY-----`\n- `-----END PRIVATE KEY-----`\n",
        &pem("PUBLIC KEY"),
        &pem("RSA PUBLIC KEY"),
        &pem("CERTIFICATE REQUEST"),
        &pem("DH PARAMETERS"),
        &pem("PGP PUBLIC KEY BLOCK"),
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@box\n",
        b"if line == \"-----BEGIN RSA PRIVATE KEY-----\" { return }\n",
        b"A key begins with `-----BEGIN PRIVATE KEY-----` and ends as it began.\n",
        b"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        b"A file that begins with \"---- BEGIN SSH2 PRIVATE KEY ----\" is a key of SSH.com\n",
        b"  tls.crt: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUNVVENDQWZ1Z0F3SUJB\n",
        b"see PuTTY-User-Key-File-3 and openssh-key-v1\0",
        b"[remote \"origin\"]\n\turl = https://example.org/a.git\n\turl = git@example.org:a.git\n\turl = ssh://me@example.org:22/a\n",
        b"",
    ] {
        assert_eq!(held_by_content(read), None, "{}", String::from_utf8_lossy(read));
    }
    let refusal = SecretPaths::default()
        .check_content(&remote(b"~/a.pem"), b"/home/me/a.pem", &pem("PRIVATE KEY"))
        .expect_err("a key");
    let says = "\"~/a.pem\": holds a private key: its content shows that, not its name";
    assert_eq!(refusal.to_string(), says);
    assert!(refusal.instead.expect("a hint").contains("`readable_paths`"));
}

/// With how many entries a path is compared, of some five hundred.
fn cost(path: &str, is_glob: bool) -> usize {
    let operand = PathOperand { directory: None, path: path.as_bytes(), is_glob, look: PathUse::Opens };
    let file = remote(path);
    let resolved = if is_glob { Resolved::operand(&operand) } else { Resolved::file(&file) }.expect(path);
    LISTED.cost(&resolved) + NAMED.cost(&resolved) + UNREAD.cost(&resolved)
}

#[test]
fn a_path_is_compared_with_few_entries_however_long_the_list_is() {
    let entries = LISTED.entries().len() + NAMED.entries().len();
    assert!(entries > 450, "{entries}");
    let (mut most, mut costliest) = (0, String::new());
    for path in KINDS.iter().flat_map(|(_, held, read)| [paths(held), paths(read)]).flatten() {
        let cost = cost(&path, false);
        if cost > most {
            (most, costliest) = (cost, path);
        }
    }
    assert!(most <= 64, "{most}: {costliest}");
    assert!(cost("/srv/app/current/src/server/handlers/files/mod.rs", false) <= 64);
    // A glob could be any name, and is held once against each.
    assert!(cost("/var/log/nginx/*", true) <= 64 + entries + UNREAD.entries().len());
}
