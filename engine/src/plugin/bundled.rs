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
        kept_cases: embedded.cases.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect(),
        ..Files::default()
    })
}

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|embedded| embedded.name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::plugin::cases::{self, CaseFile, Setup};
    use crate::plugin::{Budget, Manifest};
    use crate::random::SystemRng;

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

    #[test]
    fn what_is_embedded_passes_its_own_cases() {
        for name in names() {
            let files = find(name).unwrap();
            let manifest = Manifest::parse(&files.shown(name).into(), &files.manifest).unwrap();
            let texts = files.cases().unwrap();
            let parsed =
                texts.iter().map(|(path, text)| CaseFile::parse(&path.to_string_lossy(), text).unwrap());
            let setup = Setup {
                component: &files.component,
                manifest: &manifest,
                // The machine of a test may be busy.
                budget: Budget { deadline_milliseconds: 5_000, ..manifest.budget },
                clock: Arc::new(SystemClock::new()),
                rng: Arc::new(SystemRng::new()),
                patience: None,
            };
            let results = cases::run(setup, &parsed.collect::<Vec<_>>()).unwrap();
            assert!(!results.is_empty(), "{name}");
            for result in results {
                assert!(result.differences.is_empty(), "{name}: {result:?}");
            }
        }
    }
}
