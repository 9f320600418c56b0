//! Cross-site scripting: what a value would do within a page.
//!
//! A value may stand between tags or within an attribute, with or without quotes.

use crate::marks::{Mark, Marks, Set};
use crate::scan::{Hit, worse};

const TAG: Hit = Hit::new("xss-tag", 90, "a tag that runs or loads something");
const MARKUP: Hit = Hit::new("xss-markup", 40, "a tag");
const HANDLER: Hit = Hit::new("xss-handler", 90, "an attribute that runs script");
const URI: Hit = Hit::new("xss-uri", 85, "a URI that runs script");
const STYLE: Hit = Hit::new("xss-style", 80, "a style that can load or run something");
const BREAK: Hit =
    Hit::new("xss-attribute-break", 85, "an attribute that ends, and one that runs script behind it");
const DECLARATION: Hit =
    Hit::new("xss-declaration", 80, "a declaration or comment that changes how a page is read");
const SCRIPT: Hit = Hit::new("xss-script", 80, "script that reaches for the page");

/// Tags that run, load, or change the page around them.
const TAGS: [&str; 44] = [
    "script",
    "iframe",
    "frame",
    "frameset",
    "object",
    "embed",
    "applet",
    "svg",
    "math",
    "link",
    "meta",
    "base",
    "style",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "isindex",
    "layer",
    "ilayer",
    "bgsound",
    "xml",
    "xss",
    "video",
    "audio",
    "source",
    "marquee",
    "details",
    "template",
    "noscript",
    "import",
    "set",
    "animate",
    "handler",
    "listener",
    "body",
    "head",
    "html",
    "foreignobject",
    "vmlframe",
    "comment",
    "plaintext",
    "image",
];

/// The worst of all readings.
pub(crate) fn judge(text: &str, marks: Set, all: &Marks) -> Option<Hit> {
    let mut found = marks.has(Mark::Declaration).then_some(DECLARATION);
    if text.contains('<') {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('<') {
            found = worse(found, tag(after));
            rest = after;
        }
    }
    let squeezed = Squeezed::of(text, marks, all);
    found = worse(found, uri(&squeezed));
    if text.contains('=') {
        found = worse(found, attribute(text, marks));
    }
    worse(found, script(&squeezed))
}

/// A value without the spaces that browsers skip; made only when its marks ask for it.
struct Squeezed<'t> {
    text: &'t str,
    marks: Set,
}

impl<'t> Squeezed<'t> {
    fn of(text: &'t str, marks: Set, all: &Marks) -> Self {
        let marks = match (text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f), text.is_ascii()) {
            (false, _) => marks,
            (true, true) => all.of_squeezed(text),
            (true, false) => all.of(&squeeze(text)),
        };
        Self { text, marks }
    }

    fn text(&self) -> String {
        squeeze(self.text)
    }
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// What follows a `<`.
fn tag(after: &str) -> Option<Hit> {
    let after = after.trim_start_matches(['/', '\0', '\t', '\n', '\r', '\x0b', '\x0c']);
    let end = after
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == ':' || c == '\0'))
        .unwrap_or(after.len());
    let name: String = after.get(..end)?.chars().filter(|c| *c != '\0').collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let local = name.rsplit(':').next().unwrap_or_default();
    if TAGS.contains(&local) || TAGS.contains(&name.as_str()) || name.contains("script") {
        return Some(TAG);
    }
    let inside = after.split('>').next().unwrap_or_default();
    worse(handler(inside), attributes(inside)).or(Some(MARKUP))
}

/// `on…=` within a tag or a value.
fn handler(text: &str) -> Option<Hit> {
    let mut rest = text;
    while let Some(at) = rest.find("on") {
        let (before, from) = rest.split_at(at);
        let free =
            before.chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '.');
        let name = from.bytes().take_while(u8::is_ascii_alphabetic).count();
        let after = from.get(name..).unwrap_or_default().trim_start();
        if free && (4..=24).contains(&name) && after.starts_with('=') && !after.starts_with("==") {
            return Some(HANDLER);
        }
        rest = from.get(2..).unwrap_or_default();
    }
    None
}

/// Attributes of a tag that load or run.
fn attributes(inside: &str) -> Option<Hit> {
    const NAMES: [&str; 12] = [
        "style",
        "xmlns",
        "formaction",
        "srcdoc",
        "xlink:href",
        "background",
        "dynsrc",
        "lowsrc",
        "datasrc",
        "datafld",
        "fscommand",
        "seeksegmenttime",
    ];
    let named = NAMES.iter().any(|name| {
        inside.find(name).is_some_and(|at| {
            let after = inside.get(at + name.len()..).unwrap_or_default();
            after.trim_start().starts_with('=') || (*name == "xmlns" && after.starts_with(':'))
        })
    });
    named.then_some(STYLE)
}

/// A value that ends an attribute, or stands in a tag.
fn attribute(text: &str, marks: Set) -> Option<Hit> {
    let broken = || text.contains(['"', '\'', '`', '>', '/']) || text.trim_start().starts_with("on");
    if marks.has(Mark::On) && handler(text).is_some() && (broken() || known_handler(text)) {
        return Some(BREAK);
    }
    let style = marks.has(Mark::Style)
        && text
            .find("style")
            .is_some_and(|at| text.get(at + 5..).unwrap_or_default().trim_start().starts_with('='));
    (style && (marks.has(Mark::StyleReach) || text.contains(['"', '\'', '<']))).then_some(STYLE)
}

/// Handlers that nothing else is called.
fn known_handler(text: &str) -> bool {
    const NAMES: [&str; 22] = [
        "onerror",
        "onload",
        "onclick",
        "onmouse",
        "onfocus",
        "onblur",
        "onkey",
        "onsubmit",
        "onchange",
        "ontoggle",
        "onpointer",
        "onanimation",
        "ontransition",
        "onbegin",
        "onscroll",
        "onwheel",
        "ondrag",
        "oncopy",
        "onpaste",
        "onhashchange",
        "onpageshow",
        "onafterprint",
    ];
    NAMES.iter().any(|name| text.contains(name))
}

/// Schemes that run script, without the spaces that browsers skip.
fn uri(squeezed: &Squeezed<'_>) -> Option<Hit> {
    if squeezed.marks.has(Mark::ScriptScheme) {
        return Some(URI);
    }
    if !squeezed.marks.has(Mark::Data) {
        return None;
    }
    let text = squeezed.text();
    let data = text.split_once("data:").map(|(_, after)| after);
    let active = |after: &str| {
        [
            "text/html",
            "image/svg",
            "text/xml",
            "application/xhtml",
            "application/xml",
            "text/javascript",
            "application/javascript",
        ]
        .iter()
        .any(|kind| after.starts_with(kind))
            || after.starts_with(",<")
    };
    data.filter(|after| active(after)).map(|_| URI)
}

/// Script that needs no tag: what a value does within a script, a template or an old style.
fn script(squeezed: &Squeezed<'_>) -> Option<Hit> {
    // A call alone may be prose about programs; with a sign that ends what stands before, it runs.
    let runs = || squeezed.text.contains(['\'', '"', '`', ';', '<', '{', '+', '=', '}', ']', '/']);
    (squeezed.marks.has(Mark::Script) && runs()).then_some(SCRIPT)
}
