//! Which keywords there are, and what this engine does with each.

use super::algorithms::Kind;

/// What happens to a line with this keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It sets something.
    Evaluated(Keyword),
    /// Some OpenSSH knows it, and it changes nothing here.
    Irrelevant,
    /// OpenSSH knows it, and ignoring it could change whom one trusts, unless its value is `none`.
    Unsupported(&'static str),
    /// No OpenSSH knows it.
    Unknown,
}

/// A keyword that sets something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    HostName,
    User,
    Port,
    IdentityFile,
    CertificateFile,
    IdentitiesOnly,
    IdentityAgent,
    ProxyJump,
    ProxyCommand,
    ProxyUseFdpass,
    AddressFamily,
    BindAddress,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    StrictHostKeyChecking,
    HostKeyAlias,
    HashKnownHosts,
    RequiredRsaSize,
    Algorithms(Kind),
    HostKeyAlgorithms,
    PubkeyAuthentication,
    PasswordAuthentication,
    KbdInteractiveAuthentication,
    PreferredAuthentications,
    NumberOfPasswordPrompts,
    BatchMode,
    SetEnv,
    ConnectTimeout,
    ServerAliveInterval,
    ServerAliveCountMax,
    IgnoreUnknown,
    Tag,
    SessionType,
    CanonicalizeHostname,
    CanonicalDomains,
    CanonicalizeMaxDots,
    CanonicalizeFallbackLocal,
    CanonicalizePermittedCnames,
    NoHostAuthenticationForLocalhost,
    CheckHostIp,
    Pkcs11Provider,
    BindInterface,
    RevokedHostKeys,
    RefuseConnection,
}

/// The class of a keyword, in any case. `Host`, `Match` and `Include` are the parser's.
pub(super) fn classify(keyword: &str) -> Class {
    let keyword = keyword.to_ascii_lowercase();
    match keyword.as_str() {
        "hostname" => Class::Evaluated(Keyword::HostName),
        "user" => Class::Evaluated(Keyword::User),
        "port" => Class::Evaluated(Keyword::Port),
        "identityfile" | "identityfile2" => Class::Evaluated(Keyword::IdentityFile),
        "certificatefile" => Class::Evaluated(Keyword::CertificateFile),
        "identitiesonly" => Class::Evaluated(Keyword::IdentitiesOnly),
        "identityagent" => Class::Evaluated(Keyword::IdentityAgent),
        "proxyjump" => Class::Evaluated(Keyword::ProxyJump),
        "proxycommand" => Class::Evaluated(Keyword::ProxyCommand),
        "proxyusefdpass" => Class::Evaluated(Keyword::ProxyUseFdpass),
        "addressfamily" => Class::Evaluated(Keyword::AddressFamily),
        "bindaddress" => Class::Evaluated(Keyword::BindAddress),
        "userknownhostsfile" => Class::Evaluated(Keyword::UserKnownHostsFile),
        "globalknownhostsfile" => Class::Evaluated(Keyword::GlobalKnownHostsFile),
        "stricthostkeychecking" => Class::Evaluated(Keyword::StrictHostKeyChecking),
        "hostkeyalias" => Class::Evaluated(Keyword::HostKeyAlias),
        "hashknownhosts" => Class::Evaluated(Keyword::HashKnownHosts),
        "requiredrsasize" => Class::Evaluated(Keyword::RequiredRsaSize),
        "kexalgorithms" => Class::Evaluated(Keyword::Algorithms(Kind::Kex)),
        "ciphers" => Class::Evaluated(Keyword::Algorithms(Kind::Cipher)),
        "macs" => Class::Evaluated(Keyword::Algorithms(Kind::Mac)),
        "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => Class::Evaluated(Keyword::Algorithms(Kind::Key)),
        "casignaturealgorithms" => Class::Evaluated(Keyword::Algorithms(Kind::CaSignature)),
        "hostkeyalgorithms" => Class::Evaluated(Keyword::HostKeyAlgorithms),
        "pubkeyauthentication" | "dsaauthentication" => Class::Evaluated(Keyword::PubkeyAuthentication),
        "passwordauthentication" => Class::Evaluated(Keyword::PasswordAuthentication),
        "kbdinteractiveauthentication"
        | "challengeresponseauthentication"
        | "skeyauthentication"
        | "tisauthentication" => Class::Evaluated(Keyword::KbdInteractiveAuthentication),
        "preferredauthentications" => Class::Evaluated(Keyword::PreferredAuthentications),
        "numberofpasswordprompts" => Class::Evaluated(Keyword::NumberOfPasswordPrompts),
        "batchmode" => Class::Evaluated(Keyword::BatchMode),
        "setenv" => Class::Evaluated(Keyword::SetEnv),
        "connecttimeout" => Class::Evaluated(Keyword::ConnectTimeout),
        // The others are Debian's older names of it.
        "serveraliveinterval" | "protocolkeepalives" | "setuptimeout" => Class::Evaluated(Keyword::ServerAliveInterval),
        "serveralivecountmax" => Class::Evaluated(Keyword::ServerAliveCountMax),
        "ignoreunknown" => Class::Evaluated(Keyword::IgnoreUnknown),

        "tag" => Class::Evaluated(Keyword::Tag),
        "sessiontype" => Class::Evaluated(Keyword::SessionType),
        "canonicalizehostname" => Class::Evaluated(Keyword::CanonicalizeHostname),
        "canonicaldomains" => Class::Evaluated(Keyword::CanonicalDomains),
        "canonicalizemaxdots" => Class::Evaluated(Keyword::CanonicalizeMaxDots),
        "canonicalizefallbacklocal" => Class::Evaluated(Keyword::CanonicalizeFallbackLocal),
        "canonicalizepermittedcnames" => Class::Evaluated(Keyword::CanonicalizePermittedCnames),
        "nohostauthenticationforlocalhost" => Class::Evaluated(Keyword::NoHostAuthenticationForLocalhost),
        "checkhostip" => Class::Evaluated(Keyword::CheckHostIp),
        "pkcs11provider" | "smartcarddevice" => Class::Evaluated(Keyword::Pkcs11Provider),
        "bindinterface" => Class::Evaluated(Keyword::BindInterface),
        "revokedhostkeys" => Class::Evaluated(Keyword::RevokedHostKeys),
        "refuseconnection" => Class::Evaluated(Keyword::RefuseConnection),

        "knownhostscommand" => Class::Unsupported("KnownHostsCommand"),

        "addkeystoagent"
        | "afstokenpassing"
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
        | "hostbasedacceptedalgorithms"
        | "hostbasedauthentication"
        | "hostbasedkeytypes"
        | "ipqos"
        | "kbdinteractivedevices"
        | "keepalive"
        | "kerberosauthentication"
        | "kerberostgtpassing"
        | "localcommand"
        | "localforward"
        | "loglevel"
        | "logverbose"
        | "permitlocalcommand"
        | "permitremoteopen"
        | "protocol"
        | "rekeylimit"
        | "remotecommand"
        | "remoteforward"
        | "requesttty"
        | "rhostsauthentication"
        | "rhostsrsaauthentication"
        | "rsaauthentication"
        | "securitykeyprovider"
        | "sendenv"
        | "stdinnull"
        | "streamlocalbindmask"
        | "streamlocalbindunlink"
        | "syslogfacility"
        | "tcpkeepalive"
        | "tunnel"
        | "tunneldevice"
        | "updatehostkeys"
        | "useblacklistedkeys"
        | "useprivilegedport"
        | "userknownhostsfile2"
        | "useroaming"
        | "usersh"
        | "verifyhostkeydns"
        | "visualhostkey"
        | "xauthlocation" => Class::Irrelevant,

        // Not every ssh knows these, and the one of this machine may refuse them. A configuration that is shared with
        // machines that do must not fail here: versions of OpenSSH after 9.2, macOS, and what systems with Kerberos add.
        "channeltimeout" | "obscurekeystroketiming" | "usekeychain" | "versionaddendum" | "warnweakcrypto" => {
            Class::Irrelevant
        }
        other if other.starts_with("gssapi") => Class::Irrelevant,
        _ => Class::Unknown,
    }
}
