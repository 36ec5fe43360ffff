//! Sensing: areas and units are there, and a rule's figures agree with each other.

use super::{Names, plain_name, unique};
use crate::diagnostics::Diagnostic;
use crate::load::{Draft, Sited};
use crate::sensing::{Plausible, SensingPlan};

pub(super) fn check(draft: &Draft, names: &Names<'_>) {
    let Some(plan) = &draft.sensing else { return };
    let Sited { value, sites, .. } = plan;
    let at = |list: &str, index: usize, key: &str| sites.place(&format!("{list}.{index}.{key}"));
    let ids = value.key_areas.iter().enumerate();
    let ids = ids.map(|(index, area)| (area.id.as_str(), at("key_area", index, "id")));
    unique("key area", ids, names);
    for (index, area) in value.key_areas.iter().enumerate() {
        if area.areas.is_empty() {
            names.fault(
                Diagnostic::new(at("key_area", index, "areas"), "the key area has no area")
                    .expected("a list of area codes"),
            );
        }
        for (place, code) in area.areas.iter().enumerate() {
            names.area(code, || at("key_area", index, &format!("areas.{place}")));
        }
    }
    let kinds = value.ranges.iter().enumerate();
    let kinds = kinds.map(|(index, range)| (range.kind.as_str(), at("range", index, "kind")));
    unique("range of", kinds, names);
    let ids = value.plausible.iter().enumerate();
    let ids = ids.map(|(index, rule)| (rule.id.as_str(), at("plausible", index, "id")));
    unique("rule", ids, names);
    for (index, rule) in value.plausible.iter().enumerate() {
        check_rule(index, rule, plan, names);
    }
}

fn check_rule(index: usize, rule: &Plausible, plan: &Sited<SensingPlan>, names: &Names<'_>) {
    let at = |key: &str| plan.sites.place(&format!("plausible.{index}.{key}"));
    let fault = |key: &str, problem: &str, mend: &str| {
        names.fault(Diagnostic::new(at(key), problem).mend(mend));
    };
    if !rule.id.is_empty() && !plain_name(&rule.id) {
        names.fault(
            Diagnostic::new(at("id"), format!("bad rule id `{}`", rule.id))
                .expected("small letters, digits and `_`"),
        );
    }
    if rule.properties.is_empty() && rule.kinds.is_empty() {
        fault("id", "the rule is for no Datastream", "add `properties = […]` or `kinds = […]`");
    }
    if let Some(unit) = &rule.unit {
        names.unit(unit, || at("unit"));
    }
    let figures = [rule.min, rule.max, rule.rate_per_h, rule.spike];
    let has_figures = figures.iter().any(Option::is_some) || rule.usual.is_some();
    if has_figures && rule.unit.is_none() && plan.sound {
        fault("id", "the rule has figures and no unit", "add `unit = …`");
    }
    if let (Some(min), Some(max)) = (rule.min, rule.max)
        && min >= max
    {
        fault("min", "`min` is not below `max`", "no reading would be plausible: correct one");
    }
    if let Some([low, high]) = rule.usual {
        let inside =
            rule.min.is_none_or(|min| min <= low) && rule.max.is_none_or(|max| high <= max);
        if low >= high || !inside {
            let problem = "`usual` is no part of what is plausible";
            fault("usual", problem, "write it as [low, high], from `min` to `max` at most");
        }
    }
    if !rule.also.is_empty() && rule.usual.is_none() {
        let problem = "other units are told by `usual`, which is missing";
        fault("also", problem, "add `usual = [low, high]`");
    }
    for (place, other) in rule.also.iter().enumerate() {
        let same = rule.unit.as_ref() == Some(&other.unit);
        if same {
            let place = at(&format!("also.{place}.unit"));
            let problem = format!("`{}` is the rule's own unit", other.unit);
            names.fault(Diagnostic::new(place, problem));
        }
    }
    let owned = ["ahead_s", "late_s"];
    let judges = has_figures
        || rule.stuck_readings.is_some()
        || rule.stuck_s.is_some()
        || rule.clock != Default::default();
    if !judges && plan.sound {
        let all = ["min", "max", "rate_per_h", "stuck_readings", "stuck_s", "spike"];
        let all: Vec<&str> = all.into_iter().chain(owned).collect();
        let mend = format!("give it one of: {}", all.join(", "));
        fault("id", "the rule judges nothing", &mend);
    }
}
