//! The rules as they are asked: who, what, to which thing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    ParseErrors, PolicySet, Request, RestrictedExpression,
};

use super::Action;
use super::schema::{CLASSES, PLATFORM, SHARING};
use crate::model::{Class, Contract, SharingAttribute};

/// Subjects whose decisions about the platform are remembered; where there would be more, all are
/// forgotten.
const SUBJECTS_MAX: usize = 8_192;

/// What each subject, as [`told`], may do to the platform, as far as it was asked.
type Decided = HashMap<String, HashMap<Action, bool>>;

/// Who asks, as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub user: &'a str,
    pub organisation: &'a str,
    /// The organisations above it, with or without itself.
    pub ancestors: &'a [String],
    /// The organisations in whose name it acts.
    pub acts_for: &'a BTreeSet<String>,
    pub roles: &'a BTreeSet<String>,
    pub permissions: &'a BTreeSet<String>,
}

/// What an action is done to.
#[derive(Debug, Clone, Copy)]
pub enum Thing<'a> {
    Platform,
    Dataset(&'a Contract),
}

/// A pack's access rules. Without any, nobody may do anything.
#[derive(Clone, Default)]
pub struct Rules {
    policies: Arc<PolicySet>,
    /// Every request asks about the platform. Rules see nothing of it but the subject and the
    /// action, so that a decision holds for as long as they do.
    decided: Arc<RwLock<Decided>>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("policies", &self.count()).finish()
    }
}

impl Rules {
    /// Reads rules without validating them: what they name need not be there.
    #[expect(clippy::result_large_err, reason = "read once, when a pack is loaded")]
    pub fn parse(text: &str) -> Result<Self, ParseErrors> {
        Ok(Self { policies: Arc::new(PolicySet::from_str(text)?), decided: Arc::default() })
    }

    pub(crate) fn policies(&self) -> &PolicySet {
        &self.policies
    }

    pub fn count(&self) -> usize {
        self.policies.policies().count()
    }

    /// Whether `who` may do `action` to `thing`.
    pub fn allow(&self, who: Subject<'_>, action: Action, thing: Thing<'_>) -> bool {
        self.asker(who).may(action, thing)
    }

    /// The rules in the hands of one principal, for several questions.
    pub fn asker<'a>(&'a self, who: Subject<'a>) -> Asker<'a> {
        Asker { rules: self, who, entity: OnceLock::new() }
    }
}

/// The rules as one principal asks them.
#[derive(Debug)]
pub struct Asker<'a> {
    rules: &'a Rules,
    who: Subject<'a>,
    /// Made when it is first wanted.
    entity: OnceLock<Entity>,
}

impl Asker<'_> {
    /// Whether it may. A rule that cannot be evaluated forbids: it might have.
    pub fn may(&self, action: Action, thing: Thing<'_>) -> bool {
        let Thing::Platform = thing else { return self.decide(action, thing) };
        let subject = told(self.who);
        let decided = &self.rules.decided;
        // What a panic left behind is whole: one entry is put in at a time.
        let known = decided.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowed) = known.get(&subject).and_then(|of| of.get(&action)) {
            return *allowed;
        }
        drop(known);
        let allowed = self.decide(action, thing);
        let mut known = decided.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SUBJECTS_MAX && !known.contains_key(&subject) {
            known.clear();
        }
        known.entry(subject).or_default().insert(action, allowed);
        allowed
    }

    fn decide(&self, action: Action, thing: Thing<'_>) -> bool {
        let mut entities = vec![self.entity.get_or_init(|| user(self.who)).clone()];
        let on = match thing {
            Thing::Platform => uid(&TYPES.platform, PLATFORM),
            Thing::Dataset(contract) => {
                entities.push(dataset(contract));
                uid(&TYPES.dataset, &contract.id)
            }
        };
        let entities = Entities::from_entities(entities, None);
        let (user, action) = (uid(&TYPES.user, self.who.user), uid(&TYPES.action, action.name()));
        let request = Request::new(user, action, on, Context::empty(), None);
        let (Ok(entities), Ok(request)) = (entities, request) else { return false };
        let response = AUTHORIZER.is_authorized(&request, &self.rules.policies, &entities);
        let whole = response.diagnostics().errors().next().is_none();
        whole && response.decision() == Decision::Allow
    }
}

/// All that rules see of a subject, in a text that no other subject has: each part with its length.
fn told(who: Subject<'_>) -> String {
    let mut told = String::new();
    let mut say = |text: &str| {
        told.push_str(&text.len().to_string());
        told.push(':');
        told.push_str(text);
    };
    say(who.user);
    say(who.organisation);
    who.ancestors.iter().for_each(|id| say(id));
    for ids in [who.acts_for, who.roles, who.permissions] {
        // No id is empty: here the next list begins.
        say("");
        ids.iter().for_each(|id| say(id));
    }
    told
}

/// Why something is refused, in the words that every face uses.
pub fn denial(user: &str, action: Action) -> String {
    format!("{user} may not `{action}`: the city's access rules do not permit it")
}

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(Authorizer::new);

/// Type names, parsed once.
struct Types {
    user: EntityTypeName,
    role: EntityTypeName,
    permission: EntityTypeName,
    organisation: EntityTypeName,
    dataset: EntityTypeName,
    class: EntityTypeName,
    sharing: EntityTypeName,
    platform: EntityTypeName,
    action: EntityTypeName,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let named = |name: &str| name.parse().expect("these are names");
    Types {
        user: named("User"),
        role: named("Role"),
        permission: named("Permission"),
        organisation: named("Organisation"),
        dataset: named("Dataset"),
        class: named("Class"),
        sharing: named("Sharing"),
        platform: named("Platform"),
        action: named("Action"),
    }
});

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn user(who: Subject<'_>) -> Entity {
    let each = |kind, ids: &BTreeSet<String>| -> Vec<EntityUid> {
        ids.iter().map(|id| uid(kind, id)).collect()
    };
    let mut parents: HashSet<EntityUid> = each(&TYPES.role, who.roles).into_iter().collect();
    parents.extend(each(&TYPES.permission, who.permissions));
    parents.extend(who.ancestors.iter().map(|id| uid(&TYPES.organisation, id)));
    parents.insert(uid(&TYPES.organisation, who.organisation));
    let acts_for = each(&TYPES.organisation, who.acts_for);
    let attributes = HashMap::from([
        ("organisation".to_owned(), reference(uid(&TYPES.organisation, who.organisation))),
        ("acts_for".to_owned(), RestrictedExpression::new_set(acts_for.into_iter().map(reference))),
    ]);
    Entity::new(uid(&TYPES.user, who.user), attributes, parents)
        .expect("references and sets of them always evaluate")
}

fn dataset(contract: &Contract) -> Entity {
    let class = match contract.fields.iter().filter_map(|field| field.class).max() {
        None => CLASSES[0],
        Some(Class::General) => CLASSES[1],
        Some(Class::Important) => CLASSES[2],
        Some(Class::Core) => CLASSES[3],
    };
    let sharing = match contract.sharing.attribute {
        SharingAttribute::Unconditional => SHARING[0],
        SharingAttribute::Conditional => SHARING[1],
        SharingAttribute::NotShared => SHARING[2],
    };
    let attributes = HashMap::from([
        ("owner".to_owned(), reference(uid(&TYPES.organisation, &contract.owner))),
        ("class".to_owned(), reference(uid(&TYPES.class, class))),
        ("sharing".to_owned(), reference(uid(&TYPES.sharing, sharing))),
        ("open".to_owned(), RestrictedExpression::new_bool(contract.open)),
    ]);
    Entity::new(uid(&TYPES.dataset, &contract.id), attributes, HashSet::new())
        .expect("references and truth values always evaluate")
}

fn reference(uid: EntityUid) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Pack;

    fn base() -> Pack {
        crate::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/base")).unwrap()
    }

    /// Whether somebody of an organisation below another may do something to the dataset of air,
    /// which belongs to `ecology`, and to the platform.
    fn may(rules: &str, organisation: &str, above: &str, action: Action) -> (bool, bool) {
        let pack = base();
        let rules = Rules::parse(rules).unwrap();
        let named = |name: &str| BTreeSet::from([name.to_owned()]);
        let (acts_for, roles, permissions) = (named(organisation), named("reader"), named("query"));
        let who = Subject {
            user: "lin",
            organisation,
            ancestors: &[above.to_owned()],
            acts_for: &acts_for,
            roles: &roles,
            permissions: &permissions,
        };
        let air = Thing::Dataset(&pack.datasets["air.pm25"]);
        (rules.allow(who, action, air), rules.allow(who, action, Thing::Platform))
    }

    #[test]
    fn what_nothing_permits_is_not_permitted() {
        for action in Action::ALL {
            assert_eq!(may("", "ecology", "chengdu", *action), (false, false), "{action}");
        }
        let one = r#"permit (principal, action == Action::"query", resource);"#;
        assert_eq!(may(one, "ecology", "chengdu", Action::Query), (true, true));
        assert_eq!(may(one, "ecology", "chengdu", Action::AuditRead), (false, false));
    }

    #[test]
    fn a_principal_is_in_its_roles_permissions_and_organisations() {
        for (group, held) in [
            (r#"Role::"reader""#, true),
            (r#"Role::"auditor""#, false),
            (r#"Permission::"query""#, true),
            (r#"Permission::"audit""#, false),
            (r#"Organisation::"market""#, true),
            (r#"Organisation::"chengdu""#, true),
            (r#"Organisation::"ecology""#, false),
        ] {
            let rule = format!("permit (principal in {group}, action, resource);");
            let asked = may(&rule, "market", "chengdu", Action::Query);
            assert_eq!(asked, (held, held), "{group}");
        }
    }

    #[test]
    fn a_dataset_has_an_owner_a_class_and_a_sharing_attribute() {
        let when = |condition: &str| {
            format!("permit (principal, action, resource is Dataset) when {{ {condition} }};")
        };
        let own = when("principal.acts_for.contains(resource.owner)");
        assert_eq!(may(&own, "ecology", "chengdu", Action::Query), (true, false));
        assert_eq!(may(&own, "market", "ecology", Action::Query), (false, false));
        let below = when("principal in resource.owner");
        assert!(may(&below, "market", "ecology", Action::Query).0);
        assert!(!may(&below, "market", "chengdu", Action::Query).0);
        let facts = when(
            r#"resource.class == Class::"general" && resource.sharing == Sharing::"unconditional""#,
        );
        assert!(may(&facts, "market", "chengdu", Action::Query).0);
        let core = when(r#"resource.class == Class::"core""#);
        assert!(!may(&core, "market", "chengdu", Action::Query).0);
    }

    #[test]
    fn a_rule_that_forbids_or_cannot_be_judged_goes_before_all_that_permit() {
        let all = "permit (principal, action, resource);";
        let forbid = format!("{all} forbid (principal in Role::\"reader\", action, resource);");
        assert_eq!(may(&forbid, "ecology", "chengdu", Action::Query), (false, false));
        // The platform has no owner: validation would have said so.
        let broken = format!(
            "{all} forbid (principal, action, resource) when {{ resource.owner != resource.owner }};"
        );
        assert_eq!(may(&broken, "ecology", "chengdu", Action::Query), (true, false));
    }

    #[test]
    fn a_decision_is_remembered_for_its_subject_alone() {
        let rules = r#"permit (principal in Role::"keeper", action, resource is Platform);"#;
        let rules = Rules::parse(rules).unwrap();
        let (none, keeper) = (BTreeSet::new(), BTreeSet::from(["keeper".to_owned()]));
        let who = |roles, permissions| Subject {
            user: "a",
            organisation: "b",
            ancestors: &[],
            acts_for: &none,
            roles,
            permissions,
        };
        // A permission by the name of the role is no role.
        for _ in 0..2 {
            for (roles, permissions, allowed) in
                [(&keeper, &none, true), (&none, &keeper, false), (&none, &none, false)]
            {
                let subject = who(roles, permissions);
                assert_eq!(rules.allow(subject, Action::Query, Thing::Platform), allowed);
            }
        }
        assert_eq!(rules.decided.read().unwrap().len(), 3);
    }
}
