//! URLs of services, as far as all clouds treat them alike.

use reqwest::Url;
use std::net::IpAddr;

/// Returns whether a request to the URL goes to another machine without TLS.
pub fn is_plaintext_remote(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "http" && !url.host_str().is_some_and(is_loopback_host)
}

/// Returns the URL for log lines, without a user name and password before the host (RFC 3986 section 3.2.1).
pub fn url_without_credentials(url: &str) -> String {
    // The HTTP client also accepts a proxy without a scheme: NAME:PASSWORD@HOST:PORT.
    let start = url.find("://").filter(|end| !url[..*end].contains(['@', '/', '?', '#'])).map_or(0, |end| end + 3);
    let (scheme, rest) = url.split_at(start);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}{host}{path}")
}

/// Returns whether the host is a loopback address, or a name for one (RFC 6761 section 6.3).
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_local_name = host == "localhost" || host.ends_with(".localhost");
    address.map_or(is_local_name, |address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_without_tls_is_known() {
        for open in [
            "http://kms.example.com",
            "http://10.0.0.1:8080/",
            "HTTP://KMS",
            "http://[fe80::1]/",
            "http://localhost.example.com",
        ] {
            assert!(is_plaintext_remote(open), "{open}");
        }
        for closed in [
            "https://kms.example.com",
            "http://localhost:4566",
            "http://127.0.0.1",
            "http://127.1.2.3:1/",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]",
            "http://kms.localhost",
            "nonsense",
        ] {
            assert!(!is_plaintext_remote(closed), "{closed}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("https://me:se@cret@kms.example:8443/a@b", "https://kms.example:8443/a@b"),
            ("https://me@kms.example", "https://kms.example"),
            ("https://kms.example/?a=b@c", "https://kms.example/?a=b@c"),
            ("me:se@cret@proxy:3128", "proxy:3128"),
            ("proxy:3128/?a=b://c", "proxy:3128/?a=b://c"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(url_without_credentials(url), shown);
        }
    }
}
