//! Whether a request has the headers of the browser that it claims to come from.

use portcullis_sdk::{Location, Request};

use crate::agent::{Browser, Family};

/// Something that the claimed browser does not do.
pub(crate) struct Oddity {
    pub(crate) points: u8,
    pub(crate) reason: &'static str,
    pub(crate) detail: &'static str,
    header: Option<&'static str>,
}

impl Oddity {
    pub(crate) fn location(&self) -> Location {
        self.header.map_or(Location::Whole, Location::header)
    }
}

/// The first version of Chromium that sends client hints with each request over TLS.
const CLIENT_HINTS_SINCE: u32 = 89;
/// The first versions that send fetch metadata (W3C Fetch Metadata Request Headers).
const FETCH_METADATA: [(Family, u32); 3] =
    [(Family::Chromium, 80), (Family::Firefox, 90), (Family::Safari, 17)];
/// No browser is so far ahead.
const HIGHEST_MAJOR: u32 = 400;

/// What does not fit.
pub(crate) fn oddities(request: &Request, browser: &Browser) -> Vec<Oddity> {
    let mut found = Vec::new();
    let mut odd = |points, reason, detail, header| found.push(Oddity { points, reason, detail, header });
    let has = |name: &str| request.header(name).is_some_and(|value| !value.trim().is_empty());
    if !has("accept-language") {
        odd(25, "no-language", "browsers say which languages they want", Some("accept-language"));
    }
    if !has("accept") {
        odd(20, "no-accept", "browsers say what they accept", Some("accept"));
    }
    if !has("accept-encoding") {
        odd(15, "no-encoding", "browsers say which encodings they know", Some("accept-encoding"));
    }
    let navigates = request.header("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    if navigates && request.header("accept").is_some_and(|accept| accept.trim() == "*/*") {
        odd(20, "accept-all", "a browser that opens a page prefers HTML", Some("accept"));
    }
    let claims_metadata =
        FETCH_METADATA.iter().any(|(family, since)| *family == browser.family && browser.major >= *since);
    if claims_metadata && !has("sec-fetch-site") && !has("sec-fetch-mode") {
        odd(
            20,
            "no-fetch-metadata",
            "this version of the browser says how it fetches",
            Some("sec-fetch-site"),
        );
    }
    let hints = request.header("sec-ch-ua");
    match (browser.family, hints) {
        (Family::Chromium, None) if browser.major >= CLIENT_HINTS_SINCE => {
            odd(15, "no-client-hints", "this version of the browser gives client hints", Some("sec-ch-ua"));
        }
        (Family::Chromium, Some(hints)) if !hints.contains(&format!("v=\"{}\"", browser.major)) => {
            odd(
                35,
                "other-version",
                "client hints and user agent name different versions",
                Some("sec-ch-ua"),
            );
        }
        (Family::Firefox | Family::Safari, Some(_)) => {
            odd(35, "other-browser", "only Chromium gives client hints", Some("sec-ch-ua"));
        }
        _ => {}
    }
    if let Some(mobile) = request.header("sec-ch-ua-mobile")
        && (mobile.trim() == "?1") != browser.is_mobile
    {
        odd(
            25,
            "other-device",
            "client hints and user agent name different devices",
            Some("sec-ch-ua-mobile"),
        );
    }
    if browser.major == 0 || browser.major > HIGHEST_MAJOR {
        odd(25, "no-such-version", "there is no such version of the browser", Some("user-agent"));
    }
    if is_out_of_order(request) {
        odd(15, "header-order", "a browser names itself before what it accepts", None);
    }
    found
}

/// Browsers send `user-agent` before `accept-language`; many libraries sort or append.
fn is_out_of_order(request: &Request) -> bool {
    let place = |name: &str| request.headers().iter().position(|header| header.name == name);
    match (place("user-agent"), place("accept-language"), place("accept-encoding")) {
        (Some(agent), Some(language), Some(encoding)) => agent > language && agent > encoding,
        _ => false,
    }
}

/// The name of a header that only programs send that drive a browser.
pub(crate) fn automation_header(request: &Request) -> Option<&'static str> {
    const MARKS: [&str; 5] = [
        "x-puppeteer",
        "x-playwright",
        "x-selenium",
        "x-devtools-emulate-network-conditions-client-id",
        "x-cypress",
    ];
    MARKS.into_iter().find(|mark| request.header(mark).is_some())
}
