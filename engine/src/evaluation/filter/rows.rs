//! Rows of which all is said by their columns, and those of which Portcullis knows more.
//!
//! What is stored of a resource, roles in scopes that are about it, and the asker's being it, make a row differ from
//! another with the same columns. Each such id has a condition of its own, beside that for all others. Promises: none is
//! left out; too many is an error.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};
use smol_str::SmolStr;

use super::super::search::candidates::{BETWEEN, Beyond, Bounds};
use super::super::search::walk::gather;
use crate::clock::Timestamp;
use crate::decision::Question;
use crate::decision::narrow::Source;
use crate::decision::residual::{Formula, Ground, Operand, ResidualError, Scalar, Whose, residual};
use crate::decision::slice::Slicer;
use crate::entity::ancestry::{Ancestry, Asked as Anywhere, LONGEST_CHAIN};
use crate::entity::assignment::Place;
use crate::entity::{Data, Facts};
use crate::policy::Pack;
use crate::policy::mapping::Mapping;
use crate::question::{Asked, Assertions};

/// The most ids of one kind that a filter names.
const MOST: usize = 1_000;
/// How many are looked at for them.
const LOOKED_AT: usize = 100_000;

/// All that a filter needs, wherever it is worked out.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) data: Arc<Data>,
    pub(super) tenant: String,
    pub(super) pack: Arc<Pack>,
    pub(super) at: Timestamp,
    pub(super) asked: Asked<'static>,
    pub(super) assertions: Assertions,
    pub(super) mapping: Arc<Mapping>,
}

/// One look at what a filter needs.
struct Look<'a> {
    work: &'a Work,
    facts: Facts<'a>,
    entity_type: &'a EntityType,
    stop: &'a dyn Fn() -> bool,
    members: RefCell<HashMap<(EntityUID, EntityType, Whose), Vec<SmolStr>>>,
}

impl Work {
    /// The condition on a row of this type.
    pub(super) fn condition(
        &self,
        entity_type: &EntityType,
        stop: &dyn Fn() -> bool,
    ) -> Result<Formula, ResidualError> {
        let facts = self.pack.facts(&self.data, &self.tenant, self.at);
        let look = Look { work: self, facts, entity_type, stop, members: RefCell::default() };
        let unknown = look.unknown_id();
        let Some(question) = look.question(&unknown) else { return Ok(Formula::Never) };
        if facts.is_inactive(&question.principal) {
            return Ok(Formula::Never);
        }
        let own = look.own_ids(&question)?;
        let general = look.residual(&question, false)?;
        let mut by_condition: BTreeMap<usize, (Formula, Vec<Scalar>)> = BTreeMap::new();
        let mut places: HashMap<Formula, usize> = HashMap::new();
        for id in own {
            if stop() {
                return Err(ResidualError::TooSlow);
            }
            let Some(question) = look.question(&id) else { continue };
            let condition = look.residual(&question, true)?;
            let next = places.len();
            let place = *places.entry(condition.clone()).or_insert(next);
            by_condition.entry(place).or_insert_with(|| (condition, Vec::new())).1.push(Scalar::Text(id));
        }
        // An id whose condition is everybody's would be one too many. That one may name ids as well; then they are equal
        // as conditions only if they are the same for it.
        by_condition.retain(|_, (condition, _)| *condition != general);
        let named: Vec<Scalar> = by_condition.values().flat_map(|(_, ids)| ids.iter().cloned()).collect();
        let others = Formula::and([Formula::one_of(Operand::Id, named).not(), general]);
        let each = by_condition
            .into_values()
            .map(|(condition, ids)| Formula::and([Formula::one_of(Operand::Id, ids), condition]));
        let all = Formula::or(each.chain([others]));
        if all.size() > crate::decision::residual::MOST { Err(ResidualError::TooLarge) } else { Ok(all) }
    }
}

impl Look<'_> {
    /// An id that nothing is known of.
    fn unknown_id(&self) -> SmolStr {
        let ids = (0_u64..).map(|number| SmolStr::new(format!("\0{number}")));
        let mut free = ids.filter(|id| {
            let uid = self.uid(id);
            let in_data = |uid: &EntityUID| {
                let data = self.facts.data?;
                let key = data.key(uid)?;
                Some(data.row(key).is_some() || data.assigned(key).is_some() || data.is_built_on(key))
            };
            self.facts.files.get(&uid).is_none() && !in_data(&uid).unwrap_or_default()
        });
        free.next().unwrap_or_default()
    }

    fn uid(&self, id: &str) -> EntityUID {
        EntityUID::from_components(self.entity_type.clone(), Eid::new(id), None)
    }

    fn question(&self, id: &SmolStr) -> Option<Question> {
        let mut asked = self.work.asked.clone();
        asked.resource.id = Cow::Owned(id.to_string());
        self.work.assertions.clone().question(&asked, &self.work.pack, self.facts)
    }

    fn residual(&self, question: &Question, is_known: bool) -> Result<Formula, ResidualError> {
        let settings = &self.work.pack.settings;
        let mut overlay = settings.properties.resource;
        if question.principal == question.resource {
            overlay = overlay.max(settings.properties.subject);
        }
        let view = self.facts.about(&question.resource);
        let members = |group: &EntityUID, of: &EntityType, whose: Whose| self.members(group, of, whose);
        residual(&Ground {
            rules: &self.work.pack.rules,
            on_error: settings.on_policy_error,
            view: &view,
            question,
            is_known,
            overlay,
            attributes: &self.work.mapping.attributes,
            members: &members,
            stop: self.stop,
        })
    }

    /// The ids of rows that are not like others with the same columns.
    fn own_ids(&self, question: &Question) -> Result<BTreeSet<SmolStr>, ResidualError> {
        let mut ids = BTreeSet::new();
        if question.principal.entity_type() == self.entity_type {
            ids.insert(SmolStr::new(AsRef::<str>::as_ref(question.principal.eid())));
        }
        self.add_stored(question, &mut ids)?;
        for place in self.scopes(question)? {
            match place {
                Place::Tenant => {}
                Place::Resource(uid) if uid.entity_type() == self.entity_type => {
                    ids.insert(SmolStr::new(AsRef::<str>::as_ref(uid.eid())));
                }
                Place::Resource(_) => {}
                Place::Tree(root) => {
                    if root.entity_type() == self.entity_type {
                        ids.insert(SmolStr::new(AsRef::<str>::as_ref(root.eid())));
                    }
                    ids.extend(self.gather(&root, self.entity_type)?);
                }
            }
            self.bounded(ids.len(), "are in the scopes of roles")?;
        }
        Ok(ids)
    }

    fn bounded(&self, count: usize, why: &str) -> Result<(), ResidualError> {
        if count > MOST { Err(self.too_many(self.entity_type, why)) } else { Ok(()) }
    }

    fn too_many(&self, of: &EntityType, why: &str) -> ResidualError {
        ResidualError::TooMany { most: MOST, of: of.to_string(), why: why.into() }
    }

    /// Those of which something is stored that policies read.
    fn add_stored(&self, question: &Question, ids: &mut BTreeSet<SmolStr>) -> Result<(), ResidualError> {
        const WHY: &str = "have attributes in the store that policies read, and that count beside their rows";
        let rules = &self.work.pack.rules;
        let reach = rules.reach(rules.plan(&question.action));
        let read = &reach.resource.attributes;
        if read.is_empty() {
            return Ok(());
        }
        let mut seen = 0_usize;
        let mut look = || {
            seen += 1;
            if seen.is_multiple_of(BETWEEN) && (self.stop)() { Err(ResidualError::TooSlow) } else { Ok(()) }
        };
        for entity in self.facts.files.iter() {
            look()?;
            let uid = entity.uid();
            if uid.entity_type() == self.entity_type && read.keys().any(|name| entity.get(name).is_some()) {
                ids.insert(SmolStr::new(AsRef::<str>::as_ref(uid.eid())));
                self.bounded(ids.len(), WHY)?;
            }
        }
        let Some(data) = self.facts.data else { return Ok(()) };
        let Some(number) = data.types().known(self.entity_type) else { return Ok(()) };
        for row in data.rows() {
            look()?;
            let (of, id) = row.key();
            if of != number || row.value_bytes() == 0 {
                continue;
            }
            let (attributes, _) = row.values(data.types()).map_err(|_| ResidualError::Unreadable)?;
            if attributes.iter().any(|(name, _)| read.contains_key(name)) {
                ids.insert(SmolStr::new(id));
                self.bounded(ids.len(), WHY)?;
            }
        }
        Ok(())
    }

    /// The scopes in which somebody whom policies look at has roles.
    fn scopes(&self, question: &Question) -> Result<HashSet<Place<EntityUID>>, ResidualError> {
        let Some(data) = self.facts.data else { return Ok(HashSet::new()) };
        let rules = &self.work.pack.rules;
        let view = self.facts.about(&question.resource);
        let roots = [&question.principal, &question.action, &question.resource];
        let slice = Slicer::new(&view, &question.laid_over)
            .collect(rules.reach(rules.plan(&question.action)), roots, &question.context)
            .ok_or(ResidualError::Unreadable)?;
        let mut scopes = HashSet::new();
        let asked = slice.iter().map(|entity| entity.uid()).chain([&question.principal]);
        for uid in asked.filter(|uid| !uid.entity_type().is_action()) {
            let mut ancestry = Ancestry::new(self.facts, data);
            let reached = ancestry.reach(uid, &Anywhere::tenant(), LONGEST_CHAIN);
            reached.map_err(|_| ResidualError::Unreadable)?;
            scopes.extend(ancestry.scopes);
        }
        Ok(scopes)
    }

    /// All of a type that may be in an entity.
    fn gather(&self, group: &EntityUID, of: &EntityType) -> Result<Vec<SmolStr>, ResidualError> {
        let bounds = Bounds { candidates: LOOKED_AT, stop: self.stop };
        let sources = BTreeSet::from([Source::Within(group.clone())]);
        gather(self.facts, &sources, of, &bounds).map_err(|beyond| match beyond {
            Beyond::Time => ResidualError::TooSlow,
            Beyond::Candidates | Beyond::Lost => self.too_many(of, &format!("may be in `{group}`")),
        })
    }

    /// The ids of a type of all that is in an entity, and of itself.
    fn members(
        &self,
        group: &EntityUID,
        of: &EntityType,
        whose: Whose,
    ) -> Result<Vec<SmolStr>, ResidualError> {
        let key = (group.clone(), of.clone(), whose);
        if let Some(known) = self.members.borrow().get(&key) {
            return Ok(known.clone());
        }
        let mut ids = Vec::new();
        if group.entity_type() == of {
            ids.push(SmolStr::new(AsRef::<str>::as_ref(group.eid())));
        }
        for (place, id) in self.gather(group, of)?.into_iter().enumerate() {
            if place.is_multiple_of(64) && (self.stop)() {
                return Err(ResidualError::TooSlow);
            }
            let uid = EntityUID::from_components(of.clone(), Eid::new(id.as_str()), None);
            if self.is_in(&uid, group, whose)? {
                ids.push(id);
            }
            if ids.len() > MOST {
                return Err(self.too_many(of, &format!("are in `{group}`")));
            }
        }
        self.members.borrow_mut().insert(key, ids.clone());
        Ok(ids)
    }

    fn is_in(&self, uid: &EntityUID, group: &EntityUID, whose: Whose) -> Result<bool, ResidualError> {
        if whose == Whose::Column
            && let Some(data) = self.facts.data
        {
            let mut ancestry = Ancestry::new(self.facts, data);
            let reached = ancestry.reach(uid, &Anywhere::tenant(), LONGEST_CHAIN);
            reached.map_err(|_| ResidualError::Unreadable)?;
            if !ancestry.scopes.is_empty() {
                return Err(ResidualError::Scoped(group.to_string()));
            }
        }
        let entity = self.facts.about(uid).get(uid).map_err(|_| ResidualError::Unreadable)?;
        Ok(entity.is_some_and(|entity| entity.ancestors().any(|ancestor| ancestor == group)))
    }
}
