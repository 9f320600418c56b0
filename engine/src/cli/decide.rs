//! `portcullis decide`: one request, without a server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Failure, print};
use crate::decision::{Combined, Reason, Verdict, combine, evaluate};
use crate::entity::Facts;
use crate::evaluation::Explanation;
use crate::evaluation::explain::{Budget, why};
use crate::http::offline::Request;
use crate::policy::{Pack, Sources};
use crate::question::Assertions;

mod explained;

/// `portcullis decide`.
#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// The request, as the body of `POST /v1/decide`; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The folder whose folders are packs.
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
    /// The pack that judges; overrides the request's own.
    #[arg(long)]
    pack: Option<String>,
    /// A deny is exit status 1.
    #[arg(long)]
    exit_status: bool,
    /// Print why, for people to read, in the place of JSON.
    #[arg(long)]
    explain: bool,
}

/// Judges by the pack's files alone: the command line has no store.
fn judge(request: &Request<'_>, pack: &Pack) -> Result<(Combined, Explanation), Failure> {
    let facts = Facts::of_files(&pack.entities);
    let asked = Assertions::parse(&request.asked)?.question(&request.asked, pack, facts);
    let Some(question) = asked else {
        return Ok((Combined::deny(vec![Reason::TypeUnrepresentable]), Explanation::default()));
    };
    let view = facts.about(&question.resource);
    let findings = evaluate(&pack.rules, &view, &question);
    let understands = |kind: &str| request.understands.iter().any(|understood| understood == kind);
    let mut combined = combine(&pack.rules, &findings, pack.settings.on_policy_error, &understands);
    combined.reasons.extend(question.left_out_pointers().into_iter().map(Reason::ValueLeftOut));
    let why = request
        .explain
        .then(|| why(pack, (&question, &view), &understands, &Budget::new(), (&findings, &combined)));
    Ok((combined, Explanation::of(why.flatten().unwrap_or_default(), Some(pack), &findings)))
}

pub(super) fn decide(args: &DecideArgs) -> Result<ExitCode, Failure> {
    let text = if args.file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(&args.file)
            .map_err(|error| format!("can't read `{}`: {error}", args.file.display()))?
    };
    let mut request = Request::read(&text).map_err(|error| format!("{}: {error}", args.file.display()))?;
    request.explain |= args.explain;
    let loaded = Sources::of(args.policies.clone(), None).load()?;
    let snapshot = loaded.at(0, Arc::default());
    let named = args.pack.as_deref().or(request.pack.as_deref());
    let mut packs = snapshot.packs();
    let pack = match (named, packs.next(), packs.next()) {
        (Some(name), ..) => snapshot.pack(name),
        (None, Some(only), None) => Some(only),
        (None, None, _) => None,
        (None, Some(_), Some(_)) => return Err("there are several packs: name one with `--pack`".into()),
    };
    let (combined, explanation) = match pack {
        None => (Combined::deny(vec![Reason::NoPack]), Explanation::default()),
        Some(pack) => judge(&request, pack)?,
    };
    let mut answer = serde_json::json!({
        "decision": combined.verdict == Verdict::Allow,
        "outcome": combined.verdict,
        "revision": &*snapshot.revision_text,
        "reasons": combined.reasons.iter().map(Reason::text).collect::<Vec<_>>(),
        "obligations": combined.obligations,
    });
    if let (true, Some(members)) = (request.explain, answer.as_object_mut()) {
        members.insert("explanation".to_owned(), serde_json::to_value(&explanation)?);
    }
    if args.explain {
        print(&explained::text(&combined, &explanation));
    } else {
        print(&serde_json::to_string_pretty(&answer)?);
    }
    let failed = args.exit_status && combined.verdict == Verdict::Deny;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
