//! What a client calls itself.

/// What the user agent says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// The configuration lets it come.
    Allowed,
    /// It is not there, or empty.
    Missing,
    /// A browser that a program drives: the mark that says so.
    Automation(&'static str),
    /// A library or a command for HTTP.
    Tool(&'static str),
    /// A crawler that says what it is.
    Declared(&'static str),
    /// A browser, by its own word.
    Browser(Browser),
    /// Something else.
    Unknown,
}

/// A browser's family and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Browser {
    pub(crate) family: Family,
    /// 0 when it does not say.
    pub(crate) major: u32,
    pub(crate) is_mobile: bool,
}

/// Whose engine it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Chrome, Edge, Opera and others.
    Chromium,
    Firefox,
    Safari,
}

/// Marks of browsers that a program drives.
const AUTOMATION: &[&str] = &[
    "headlesschrome",
    "phantomjs",
    "electron/",
    "slimerjs",
    "puppeteer",
    "playwright",
    "selenium",
    "webdriver",
    "cypress",
    "splash",
    "htmlunit",
    "zombie.js",
    "nightmare",
    "jsdom",
    "testcafe",
];

/// Names of libraries and commands.
const TOOLS: &[&str] = &[
    "curl/",
    "wget/",
    "python-requests",
    "python-urllib",
    "python/",
    "aiohttp",
    "httpx",
    "go-http-client",
    "java/",
    "okhttp",
    "apache-httpclient",
    "libwww-perl",
    "lwp::",
    "ruby",
    "faraday",
    "guzzlehttp",
    "php/",
    "axios/",
    "node-fetch",
    "undici",
    "got (",
    "superagent",
    "postmanruntime",
    "insomnia",
    "httpie",
    "restsharp",
    "reqwest",
    "hyper/",
    "scrapy",
    "mechanize",
    "powershell",
    "winhttp",
    "libcurl",
    "masscan",
    "zgrab",
    "nmap",
    "nikto",
    "sqlmap",
    "nuclei",
    "gobuster",
    "dirbuster",
    "ffuf",
    "wpscan",
    "feroxbuster",
];

/// Words of those that say that they are programs.
const DECLARED: &[&str] =
    &["bot", "crawler", "spider", "slurp", "archiver", "facebookexternalhit", "preview", "monitor", "uptime"];

impl Agent {
    /// Reads a user agent; `allowed` are texts in lower case.
    pub(crate) fn read(text: &str, allowed: &[String]) -> Self {
        let lower = text.trim().to_ascii_lowercase();
        if lower.is_empty() || lower == "-" || lower == "null" || lower == "undefined" {
            return Self::Missing;
        }
        if allowed.iter().any(|text| lower.contains(text.as_str())) {
            return Self::Allowed;
        }
        let first = |words: &[&'static str]| words.iter().copied().find(|word| lower.contains(word));
        if let Some(mark) = first(AUTOMATION) {
            return Self::Automation(mark);
        }
        if let Some(name) = first(TOOLS) {
            return Self::Tool(name.trim_end_matches(['/', '(', ' ', ':']));
        }
        if let Some(name) = first(DECLARED) {
            return Self::Declared(name);
        }
        Browser::read(&lower).map_or(Self::Unknown, Self::Browser)
    }
}

impl Browser {
    fn read(lower: &str) -> Option<Self> {
        if !lower.starts_with("mozilla/5.0 (") {
            return None;
        }
        let major = |mark: &str| {
            let (_, after) = lower.split_once(mark)?;
            let digits: String = after.chars().take_while(char::is_ascii_digit).take(6).collect();
            Some(digits.parse().unwrap_or_default())
        };
        let is_mobile = lower.contains("mobile") || lower.contains("android");
        let found = |family, major| Some(Self { family, major, is_mobile });
        if let Some(major) = major("firefox/") {
            return found(Family::Firefox, major);
        }
        // On iOS all browsers have Safari's engine.
        if let Some(major) = major("chrome/").filter(|_| !lower.contains("crios/")) {
            return found(Family::Chromium, major);
        }
        major("version/").filter(|_| lower.contains("safari/")).and_then(|major| found(Family::Safari, major))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Agent {
        Agent::read(text, &["mymonitor/".to_owned()])
    }

    #[test]
    fn clients_are_what_they_call_themselves() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
        let of = |family, major| Agent::Browser(Browser { family, major, is_mobile: false });
        assert_eq!(read(chrome), of(Family::Chromium, 130));
        assert_eq!(
            read("Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0"),
            of(Family::Firefox, 132)
        );
        assert_eq!(
            read(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15"
            ),
            of(Family::Safari, 17)
        );
        assert_eq!(read(&chrome.replace("Chrome", "HeadlessChrome")), Agent::Automation("headlesschrome"));
        assert_eq!(read("curl/8.5.0"), Agent::Tool("curl"));
        assert_eq!(
            read("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
            Agent::Declared("bot")
        );
        assert_eq!(read("MyMonitor/2 curl/8"), Agent::Allowed);
        assert_eq!(read("  "), Agent::Missing);
        assert_eq!(read("something else"), Agent::Unknown);
    }

    #[test]
    fn an_odd_version_is_no_panic() {
        assert!(matches!(read("Mozilla/5.0 (x) Chrome/99999999999999"), Agent::Browser(_)));
        assert!(matches!(read("Mozilla/5.0 (x) Chrome/"), Agent::Browser(Browser { major: 0, .. })));
    }
}
