//! The management pack, as it is embedded in the binary.

use super::files::{PackFiles, SourceFile};

/// A new file of the embedded pack is a line here.
const FILES: [(&str, &str); 7] = [
    ("pack.toml", include_str!("../../../policies/portcullis/pack.toml")),
    ("decisions.cedar", include_str!("../../../policies/portcullis/decisions.cedar")),
    ("management.cedar", include_str!("../../../policies/portcullis/management.cedar")),
    ("roles.cedar", include_str!("../../../policies/portcullis/roles.cedar")),
    ("tenants.cedar", include_str!("../../../policies/portcullis/tenants.cedar")),
    ("schema.cedarschema", include_str!("../../../policies/portcullis/schema.cedarschema")),
    ("entities.json", include_str!("../../../policies/portcullis/entities.json")),
];

/// The embedded pack's files.
pub(super) fn files() -> PackFiles {
    let files = FILES.iter().map(|(name, text)| {
        let file =
            SourceFile { shown: format!("(embedded)/portcullis/{name}").into(), text: (*text).to_owned() };
        ((*name).to_owned(), file)
    });
    PackFiles { files: files.collect() }
}
