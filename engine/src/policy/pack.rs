//! One pack: a policy set with its schema, entities and settings, ready to decide.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::Schema;
use cedar_policy_core::ast::{Eid, EntityType, EntityUID};
use smol_str::SmolStr;

use super::earlier::{Earlier, digest};
use super::files::{PackFiles, SourceFile};
use super::mapping::Mapping;
use super::problem::Problem;
use super::settings::Settings;
use super::{cases, compile, mapping};
use crate::clock::Timestamp;
use crate::decision::rules::Rules;
use crate::entity::interned::Interner;
use crate::entity::{Data, EntityStore, Facts, Kind};

/// A pack that was loaded whole.
#[derive(Debug)]
pub struct Pack {
    /// What it says about itself.
    pub settings: Settings,
    /// Its policies, prepared.
    pub rules: Rules,
    /// Its entities.
    pub entities: EntityStore,
    /// Its schema, if it has one.
    pub schema: Option<Schema>,
    /// What is worth a word but does not stop it.
    pub warnings: Vec<Problem>,
    /// What tells its files apart from others, by their names.
    pub(super) digests: HashMap<String, [u8; 32]>,
    types: HashMap<String, EntityType>,
    /// Where the resources of a type are rows.
    rows: HashMap<EntityType, Arc<Mapping>>,
    action_type: EntityType,
    /// The types of the kinds that have a name of their own.
    kinds: Vec<(Kind, EntityType)>,
}

impl Pack {
    /// Makes a pack of its files.
    ///
    /// # Errors
    /// Everything that is wrong with them, and cases that do not hold where the pack requires them: nothing of the pack is
    /// used then.
    pub fn load(files: &PackFiles) -> Result<Self, Vec<Problem>> {
        Self::load_after(files, None)
    }

    /// The same, when a pack was loaded before: what did not change is not parsed and checked again.
    ///
    /// # Errors
    /// As of [`Self::load`].
    pub fn load_after(files: &PackFiles, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let pack = Self::load_untried_after(files, before)?;
        pack.tried(files).map(|()| pack)
    }

    /// Runs the cases, if it requires them.
    ///
    /// # Errors
    /// Those that do not hold.
    pub fn tried(&self, files: &PackFiles) -> Result<(), Vec<Problem>> {
        let problems = if self.settings.require_cases { cases::hold(self, files) } else { Vec::new() };
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// A pack of its files without a look at its cases, whether it requires them or not: for those who run them.
    ///
    /// # Errors
    /// Everything that is wrong with its files.
    pub fn load_untried(files: &PackFiles) -> Result<Self, Vec<Problem>> {
        Self::load_untried_after(files, None)
    }

    pub(super) fn load_untried_after(files: &PackFiles, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let Some(manifest) = files.get("pack.toml") else {
            return Err(vec![Problem::of_file(&"pack.toml".into(), "a pack has a `pack.toml`")]);
        };
        let settings = Settings::parse(&manifest.shown, &manifest.text).map_err(|problem| vec![problem])?;
        let earlier = before.map(|pack| Earlier::of(pack, files)).unwrap_or_default();
        let mut problems = Vec::new();
        let mut policies = Vec::new();
        let mut texts: HashMap<Arc<str>, &str> = HashMap::new();
        for (name, file) in files.deciding().filter(|(name, _)| name.ends_with(".cedar")) {
            texts.insert(Arc::clone(&file.shown), &file.text);
            match compile::parse_file(file, name.trim_end_matches(".cedar"), &earlier) {
                Ok(parsed) => policies.extend(parsed),
                Err(found) => problems.extend(found),
            }
        }
        if texts.is_empty() {
            problems.push(Problem::of_file(&manifest.shown, "the pack has no `.cedar` file"));
        }
        problems.extend(compile::find_duplicates(&policies));
        let schema_file = files.get("schema.cedarschema").or_else(|| files.get("schema.cedarschema.json"));
        let schema = keep(schema_file.map(compile::parse_schema).transpose(), &mut problems).flatten();
        let entities = match earlier.entities() {
            Some(entities) => entities,
            None => {
                let entities = compile::parse_entities(files.get("entities.json"), schema.as_ref());
                keep(entities, &mut problems).unwrap_or_default()
            }
        };
        let mut warnings = Vec::new();
        match (&schema, schema_file) {
            (Some(schema), _) if problems.is_empty() => {
                let [errors, found] = compile::validate(&mut policies, schema, &texts);
                problems.extend(errors);
                warnings.extend(found);
            }
            (None, None) => warnings.push(Problem::of_file(
                &manifest.shown,
                "the pack has no schema: its policies are not validated",
            )),
            _ => {}
        }
        warnings.extend(compile::obliging_forbids(&policies));
        let rules = keep(compile::prepare(policies, &entities), &mut problems).unwrap_or_default();
        let types = keep(type_names(&settings, &entities, schema.as_ref(), manifest), &mut problems);
        let rows = keep(mapping::of(&settings, manifest, schema.as_ref()), &mut problems).unwrap_or_default();
        let Some((types, action_type)) = types.filter(|_| problems.is_empty()) else { return Err(problems) };
        let digests = files.deciding().map(|(name, file)| (name.clone(), digest(file))).collect();
        let mut pack = Self {
            settings,
            rules,
            entities,
            schema,
            warnings,
            digests,
            types,
            rows,
            action_type,
            kinds: Vec::new(),
        };
        let of_kind = |kind: Kind| Some((kind, pack.entity_type(kind.name())?));
        pack.kinds = Kind::NAMED.into_iter().filter_map(of_kind).collect();
        Ok(pack)
    }

    /// Whether these are its files, under the same names and with the same texts.
    pub fn is_of(&self, files: &PackFiles) -> bool {
        let mut all = files.deciding().peekable();
        let is_same = |(name, file): (&String, &SourceFile)| self.digests.get(name) == Some(&digest(file));
        all.peek().is_some() && files.deciding().count() == self.digests.len() && all.all(is_same)
    }

    /// What questions of one tenant and moment are judged by.
    pub fn facts<'a>(&'a self, data: &'a Data, tenant: &str, now: Timestamp) -> Facts<'a> {
        Facts {
            files: &self.entities,
            pack: self.name(),
            kinds: &self.kinds,
            data: data.pack(tenant, self.name()).map(Arc::as_ref),
            inactive: Some(data.inactive(tenant)),
            now,
        }
    }

    /// The Cedar type for an AuthZEN type name; none when Cedar can't say it.
    pub fn entity_type(&self, name: &str) -> Option<EntityType> {
        match self.types.get(name) {
            Some(known) => Some(known.clone()),
            None => EntityType::from_normalized_str(name).ok(),
        }
    }

    /// Where the resources of a type are rows, if the pack says so.
    pub fn rows(&self, entity_type: &EntityType) -> Option<&Arc<Mapping>> {
        self.rows.get(entity_type)
    }

    /// The Cedar entity for an AuthZEN type name and id. An action is none: a request must not lay properties over
    /// what policies read as `action`.
    pub fn uid(&self, type_name: &str, id: &str) -> Option<EntityUID> {
        let entity_type = self.entity_type(type_name).filter(|entity_type| !entity_type.is_action())?;
        Some(EntityUID::from_components(entity_type, Eid::new(id), None))
    }

    /// The Cedar action with this name.
    pub fn action(&self, name: &str) -> EntityUID {
        EntityUID::from_components(self.action_type.clone(), Eid::new(name), None)
    }

    /// The names of the actions that can be asked about these types: those of the schema, or without one, those that
    /// policies name or entities describe.
    pub fn action_names(&self, principal: &EntityType, resource: &EntityType) -> BTreeSet<SmolStr> {
        let name = |uid: &EntityUID| {
            let is_named = *uid.entity_type() == self.action_type;
            is_named.then(|| SmolStr::new(AsRef::<str>::as_ref(uid.eid())))
        };
        let Some(schema) = &self.schema else { return self.rules.actions().filter_map(name).collect() };
        let envs = schema.request_envs().filter(|env| {
            let (asks, about): (&EntityType, &EntityType) =
                (env.principal().as_ref(), env.resource().as_ref());
            asks == principal && about == resource
        });
        envs.filter_map(|env| name(env.action().as_ref())).collect()
    }

    /// The name that requests and paths give it.
    pub fn name(&self) -> &str {
        &self.settings.name
    }
}

fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// The types that are mapped, and those that the pack knows, so that a request need not parse names.
fn type_names(
    settings: &Settings,
    entities: &EntityStore,
    schema: Option<&Schema>,
    manifest: &SourceFile,
) -> Result<(HashMap<String, EntityType>, EntityType), Problem> {
    let parse = |name: &str| {
        EntityType::from_normalized_str(name).map_err(|_| {
            let quoted = format!("\"{name}\"");
            let at = manifest.text.find(&quoted).unwrap_or(0);
            let message = format!("`{name}` is not a Cedar type name");
            Problem::at(&manifest.shown, &manifest.text, at, at + quoted.len(), message)
        })
    };
    let mut types = HashMap::new();
    let mut interner = Interner::default();
    for known in schema.into_iter().flat_map(Schema::entity_types) {
        let name = known.to_string();
        if let Ok(parsed) = parse(&name) {
            types.insert(name, interner.type_name(&parsed));
        }
    }
    for entity in entities.iter() {
        let known = entity.uid().entity_type();
        let name = known.to_string();
        types.entry(name).or_insert_with(|| known.clone());
    }
    let mut action_type = interner.type_name(&parse("Action")?);
    for (name, cedar) in &settings.types {
        let parsed = interner.type_name(&parse(cedar)?);
        if name == "Action" {
            action_type = parsed.clone();
        }
        types.insert(name.clone(), parsed);
    }
    Ok((types, action_type))
}
