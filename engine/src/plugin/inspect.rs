//! What a component imports and exports, read from its bytes before anything of it is compiled.

use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use super::Capability;

/// A component's outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Full names, as `portcullis:plugin/log@1.0.0`.
    pub imports: Vec<String>,
    /// Full names, as `portcullis:plugin/validator@1.0.0`.
    pub exports: Vec<String>,
}

/// The package that host and plugins agree on.
const PACKAGE: &str = "portcullis:plugin/";

/// What an import asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Types alone.
    Types,
    /// A capability.
    Capability(Capability),
    /// Something that no host of plugins has.
    Foreign,
}

/// Reads the outside of a component.
///
/// # Errors
/// When it is no component: what it is instead.
pub fn inspect(component: &[u8]) -> Result<Inspection, String> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    let broken = |error: wasmparser::BinaryReaderError| format!("it is damaged: {error}");
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err("it is a core module and no component".to_owned());
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(broken)?;
                    if export.kind != ComponentExternalKind::Type {
                        exports.push(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Inspection { imports, exports })
}

/// What an import's full name asks for.
pub fn wanted(import: &str) -> Wanted {
    match interface(import) {
        Some("types") => Wanted::Types,
        Some(name) => {
            let named =
                |capability: &Capability| capability.name() == name && *capability != Capability::Credentials;
            Capability::ALL.into_iter().find(named).map_or(Wanted::Foreign, Wanted::Capability)
        }
        None => Wanted::Foreign,
    }
}

/// The interface of our package, in a version that this host has: within 1.x there are only additions.
pub fn interface(full: &str) -> Option<&str> {
    let (name, version) = full.strip_prefix(PACKAGE)?.split_once('@')?;
    version.starts_with("1.").then_some(name)
}

impl Inspection {
    /// The full name of an exported interface.
    pub fn export(&self, name: &str) -> Option<&str> {
        self.exports.iter().map(String::as_str).find(|full| interface(full) == Some(name))
    }

    /// The capabilities that it imports.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> {
        self.imports.iter().filter_map(|import| match wanted(import) {
            Wanted::Capability(capability) => Some(capability),
            Wanted::Types | Wanted::Foreign => None,
        })
    }
}
