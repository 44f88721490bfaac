//! Which keywords there are, and what this engine does with each.

/// What happens to a line with this keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It sets something in `HostSpec`.
    Evaluated(Keyword),
    /// OpenSSH knows it, and it changes nothing here.
    Irrelevant,
    /// OpenSSH knows it, and ignoring it could change where or how one connects.
    Unsupported,
    /// As `Unsupported`, unless the only argument is this.
    UnsupportedUnless(&'static [&'static str]),
    /// As `Unsupported`, unless every argument starts with this.
    UnsupportedUnlessPrefix(&'static str),
    /// OpenSSH does not know it either.
    Unknown,
}

/// A keyword that sets something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    HostName,
    User,
    Port,
    IdentityFile,
    IdentitiesOnly,
    IdentityAgent,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    StrictHostKeyChecking,
    ConnectTimeout,
    ServerAliveInterval,
    ServerAliveCountMax,
    IgnoreUnknown,
}

/// The class of a keyword, in any case. `Host`, `Match` and `Include` are the parser's.
pub(super) fn classify(keyword: &str) -> Class {
    let keyword = keyword.to_ascii_lowercase();
    match keyword.as_str() {
        "hostname" => Class::Evaluated(Keyword::HostName),
        "user" => Class::Evaluated(Keyword::User),
        "port" => Class::Evaluated(Keyword::Port),
        "identityfile" | "identityfile2" => Class::Evaluated(Keyword::IdentityFile),
        "identitiesonly" => Class::Evaluated(Keyword::IdentitiesOnly),
        "identityagent" => Class::Evaluated(Keyword::IdentityAgent),
        "userknownhostsfile" => Class::Evaluated(Keyword::UserKnownHostsFile),
        "globalknownhostsfile" => Class::Evaluated(Keyword::GlobalKnownHostsFile),
        "stricthostkeychecking" => Class::Evaluated(Keyword::StrictHostKeyChecking),
        "connecttimeout" => Class::Evaluated(Keyword::ConnectTimeout),
        "serveraliveinterval" => Class::Evaluated(Keyword::ServerAliveInterval),
        "serveralivecountmax" => Class::Evaluated(Keyword::ServerAliveCountMax),
        "ignoreunknown" => Class::Evaluated(Keyword::IgnoreUnknown),

        "proxyjump" | "proxycommand" | "knownhostscommand" | "pkcs11provider" | "smartcarddevice"
        | "revokedhostkeys" => Class::UnsupportedUnless(&["none"]),
        "canonicalizehostname" | "nohostauthenticationforlocalhost" => Class::UnsupportedUnless(&["no", "false"]),
        "addressfamily" => Class::UnsupportedUnless(&["any"]),
        "pubkeyauthentication" | "dsaauthentication" => {
            Class::UnsupportedUnless(&["yes", "true", "unbound", "host-bound"])
        }
        // A terminal's name is of no use to commands without a terminal.
        "setenv" => Class::UnsupportedUnlessPrefix("TERM="),
        "hostkeyalias"
        | "certificatefile"
        | "ciphers"
        | "macs"
        | "kexalgorithms"
        | "hostkeyalgorithms"
        | "pubkeyacceptedalgorithms"
        | "pubkeyacceptedkeytypes"
        | "bindaddress"
        | "bindinterface"
        | "requiredrsasize"
        | "refuseconnection" => Class::Unsupported,

        "addkeystoagent"
        | "afstokenpassing"
        | "batchmode"
        | "canonicaldomains"
        | "canonicalizefallbacklocal"
        | "canonicalizemaxdots"
        | "canonicalizepermittedcnames"
        | "casignaturealgorithms"
        | "challengeresponseauthentication"
        | "channeltimeout"
        | "checkhostip"
        | "cipher"
        | "clearallforwardings"
        | "compression"
        | "compressionlevel"
        | "connectionattempts"
        | "controlmaster"
        | "controlpath"
        | "controlpersist"
        | "dynamicforward"
        | "enableescapecommandline"
        | "enablesshkeysign"
        | "escapechar"
        | "exitonforwardfailure"
        | "fallbacktorsh"
        | "fingerprinthash"
        | "forkafterauthentication"
        | "forwardagent"
        | "forwardx11"
        | "forwardx11timeout"
        | "forwardx11trusted"
        | "gatewayports"
        | "globalknownhostsfile2"
        | "hashknownhosts"
        | "hostbasedacceptedalgorithms"
        | "hostbasedauthentication"
        | "hostbasedkeytypes"
        | "ipqos"
        | "kbdinteractiveauthentication"
        | "kbdinteractivedevices"
        | "keepalive"
        | "kerberosauthentication"
        | "kerberostgtpassing"
        | "keyboardinteractiveauthentication"
        | "localcommand"
        | "localforward"
        | "loglevel"
        | "logverbose"
        | "numberofpasswordprompts"
        | "obscurekeystroketiming"
        | "passwordauthentication"
        | "permitlocalcommand"
        | "permitremoteopen"
        | "preferredauthentications"
        | "protocol"
        | "proxyusefdpass"
        | "rekeylimit"
        | "remotecommand"
        | "remoteforward"
        | "requesttty"
        | "rhostsauthentication"
        | "rhostsrsaauthentication"
        | "rsaauthentication"
        | "securitykeyprovider"
        | "sendenv"
        | "sessiontype"
        | "skeyauthentication"
        | "stdinnull"
        | "streamlocalbindmask"
        | "streamlocalbindunlink"
        | "syslogfacility"
        | "tag"
        | "tcpkeepalive"
        | "tisauthentication"
        | "tunnel"
        | "tunneldevice"
        | "updatehostkeys"
        | "usekeychain"
        | "useprivilegedport"
        | "userknownhostsfile2"
        | "useroaming"
        | "usersh"
        | "verifyhostkeydns"
        | "versionaddendum"
        | "visualhostkey"
        | "warnweakcrypto"
        | "xauthlocation" => Class::Irrelevant,
        other if other.starts_with("gssapi") => Class::Irrelevant,
        _ => Class::Unknown,
    }
}
