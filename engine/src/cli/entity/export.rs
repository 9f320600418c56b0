//! `portcullis entity export`.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{ExportArgs, format_of, mapping_of};
use crate::administration::export::{ExportError, Exporter};
use crate::administration::import::Format;
use crate::administration::type_of;
use crate::app::open_store;
use crate::cli::{Failure, block_on, root_key, say};

pub(super) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let format = format_of(args.format.as_deref(), args.out.as_deref()).unwrap_or(Format::Ndjson);
    let mapping = mapping_of(args.mapping.as_deref(), format)?;
    let pack = args.whose.pack(&config)?;
    let named = args.type_name.as_deref().map(|name| type_of(&pack, name)).transpose()?;
    let mapped = mapping.as_ref().map(|mapping| type_of(&pack, &mapping.type_name)).transpose()?;
    if let (Some(named), Some(mapped)) = (&named, &mapped)
        && named != mapped
    {
        return Err(format!("`--type` is `{named}`, and the mapping's type `{mapped}`").into());
    }
    let type_name = named.or(mapped);
    let root = root_key(&config)?;
    let mut out = Out::new(args.out.as_deref())?;
    let mut exporter = Exporter::new(out.writer()?, format, mapping, &pack)?;
    let count = block_on(async {
        let store = open_store(&config, &root).await?;
        let mut count = 0_u64;
        let mut failed: Option<ExportError> = None;
        let of = [args.whose.tenant.as_str(), pack.name()];
        store
            .each_entity(of, type_name.as_deref(), |row| {
                if failed.is_none() {
                    count += 1;
                    failed = exporter.add(&row).err();
                }
            })
            .await?;
        store.close().await;
        if let Some(error) = failed {
            return Err(error.into());
        }
        exporter.finish()?;
        Ok(count)
    })?;
    out.keep()?;
    say(&format!("exported {count} entities"));
    Ok(ExitCode::SUCCESS)
}

/// Where it goes. A file has its name only once all is in it.
enum Out {
    Standard,
    File { beside: tempfile::NamedTempFile, named: std::path::PathBuf },
}

impl Out {
    fn new(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(named) = file else { return Ok(Self::Standard) };
        let folder = named.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = tempfile::NamedTempFile::new_in(folder)
            .map_err(|error| format!("can't write in `{}`: {error}", folder.display()))?;
        Ok(Self::File { beside, named: named.to_owned() })
    }

    fn writer(&mut self) -> Result<Box<dyn Write + Send>, Failure> {
        Ok(match self {
            Self::Standard => Box::new(BufWriter::new(std::io::stdout())),
            Self::File { beside, .. } => Box::new(BufWriter::with_capacity(1 << 18, beside.reopen()?)),
        })
    }

    fn keep(self) -> Result<(), Failure> {
        if let Self::File { beside, named } = self {
            beside.as_file().sync_all()?;
            let failed =
                |error: tempfile::PersistError| format!("can't write `{}`: {}", named.display(), error.error);
            beside.persist(&named).map_err(failed)?;
        }
        Ok(())
    }
}
