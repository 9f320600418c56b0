//! `portcullis plugin inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Built, COMPONENT, Failure, read};
use crate::cli::print;
use crate::plugin::inspect::{Inspection, inspect as look};
use crate::plugin::{Capability, Manifest, digest};

#[derive(Debug, Args)]
pub(in crate::cli) struct InspectArgs {
    /// A plugin's folder, or a component [default: this folder].
    #[arg(value_name = "DIR|FILE")]
    path: Option<PathBuf>,
}

pub(in crate::cli) fn inspect(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let path = super::folder(args.path.as_ref());
    let (component, manifest) = if path.is_dir() {
        let built = Built::read(path)?;
        (built.component, Some(built.manifest))
    } else {
        (read(path)?, None)
    };
    let shown = if path.is_dir() { path.join(COMPONENT) } else { path.to_owned() };
    let inspection = look(&component).map_err(|error| format!("{}: {error}", shown.display()))?;
    print(&format!("component  {}", shown.display()));
    print(&format!("size       {} bytes", component.len()));
    print(&format!("digest     {}", digest(&component)));
    list("imports   ", &inspection.imports);
    list("exports   ", &inspection.exports);
    let used: Vec<_> = inspection.capabilities().map(Capability::name).collect();
    print(&format!("uses       {}", joined(&used)));
    let Some(manifest) = manifest else { return Ok(ExitCode::SUCCESS) };
    let problems = problems(&inspection, &manifest);
    let declared: Vec<_> = manifest.capabilities.iter().map(|capability| capability.name()).collect();
    print(&format!("declares   {}", joined(&declared)));
    print("");
    print("For the server's configuration:");
    print("");
    print(&section(&manifest));
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.join("; ").into()) }
}

fn list(title: &str, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        print(&format!("{} {name}", if index == 0 { title } else { "          " }));
    }
}

fn joined(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Why a server would not load it.
fn problems(inspection: &Inspection, manifest: &Manifest) -> Vec<String> {
    let mut problems = Vec::new();
    for capability in inspection.capabilities().filter(|used| !manifest.capabilities.contains(used)) {
        problems
            .push(format!("it uses `{0}`, and `capabilities` in `plugin.toml` lacks it", capability.name()));
    }
    let interface = manifest.hook.interface();
    if inspection.export(interface).is_none() {
        problems.push(format!("`hook = \"{}\"`, and it does not export `{interface}`", manifest.hook.name()));
    }
    problems
}

/// The section that lets a server run it.
fn section(manifest: &Manifest) -> String {
    let mut lines = vec![format!("[plugins.{}]", manifest.name), "mode = \"enforce\"".to_owned()];
    let quoted = |capability: &Capability| format!("\"{}\"", capability.name());
    let granted: Vec<_> = manifest.capabilities.iter().map(quoted).collect();
    lines.push(format!("capabilities = [{}]", granted.join(", ")));
    if manifest.capabilities.contains(&Capability::Crypto) {
        lines.push("keys = []  # the names of the keys that it may use".to_owned());
    }
    if manifest.config_schema.is_some() {
        lines.push("config = {}".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_section_grants_what_the_manifest_declares() {
        let text =
            "name = \"a\"\nversion = \"1.0.0\"\nhook = \"sign\"\ncapabilities = [\"clock\", \"crypto\"]\n";
        let section = section(&manifest(text));
        let parsed: toml::Value = toml::from_str(&section).unwrap();
        assert_eq!(parsed["plugins"]["a"]["capabilities"].as_array().unwrap().len(), 2);
        assert!(section.contains("keys = []") && !section.contains("config"));
    }

    #[test]
    fn what_a_server_would_refuse_is_named() {
        let inspection = Inspection {
            imports: vec!["portcullis:plugin/kv@1.0.0".into()],
            exports: vec!["portcullis:plugin/masker@1.0.0".into()],
        };
        let manifest = manifest("name = \"a\"\nversion = \"1.0.0\"\nhook = \"sign\"\n");
        let found = problems(&inspection, &manifest);
        assert!(found[0].contains("`kv`") && found[1].contains("`signer`"), "{found:?}");
    }
}
