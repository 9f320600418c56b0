//! Plugins that this binary was built with: one binary is enough, and vouches for them.

use super::folder::Files;

/// An embedded plugin.
struct Embedded {
    name: &'static str,
    manifest: &'static str,
    component: &'static [u8],
    /// Name and text of each file.
    cases: &'static [(&'static str, &'static str)],
}

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The embedded plugin of this name.
pub fn find(name: &str) -> Option<Files> {
    let embedded = EMBEDDED.iter().find(|embedded| embedded.name == name)?;
    Some(Files {
        manifest: embedded.manifest.to_owned(),
        component: embedded.component.to_vec(),
        signature: None,
        folder: None,
        embedded_cases: embedded.cases,
    })
}

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|embedded| embedded.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Manifest;
    use crate::plugin::cases::CaseFile;

    #[test]
    fn what_is_embedded_is_what_its_name_says() {
        for name in names() {
            let files = find(name).unwrap();
            let manifest = Manifest::parse(&files.shown(name).into(), &files.manifest).unwrap();
            assert_eq!(manifest.name, name);
            let cases = files.cases().unwrap();
            assert!(!cases.is_empty(), "{name}");
            for (path, text) in cases {
                let file = CaseFile::parse(&path.to_string_lossy(), &text).unwrap();
                assert!(!file.cases.is_empty(), "{name}");
            }
        }
        assert_eq!(find("no-such-plugin"), None);
    }
}
