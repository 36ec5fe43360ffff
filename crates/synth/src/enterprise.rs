//! Enterprises: the register of them, and the figures that policies ask for.
//!
//! Districts and sections of GB/T 4754 have firms in proportion to the workers that the census
//! counted there. A firm's figures hang together: how good it is, how old and how large decide about
//! revenue, growth, research, property rights and debt, with a heavy tail of large ones.

mod codes;
mod figures;

use std::path::Path;

use arrow::record_batch::RecordBatch;

use crate::apportion::{apportion, totals};
use crate::enterprise::codes::credit_code;
use crate::enterprise::figures::{Figures, Form, cents};
use crate::error::Result;
use crate::facts::Section;
use crate::num::real;
use crate::order::in_order;
use crate::places::Places;
use crate::plan::Plan;
use crate::rng::{Rng, Topic};
use crate::sheet::{Kind, Rows, Sheet, Table};

pub const ENTERPRISE: Sheet = Sheet {
    dataset: "market.enterprise",
    columns: &[
        ("credit_code", Kind::Text),
        ("name", Kind::Text),
        ("legal_person", Kind::Text),
        ("phone", Kind::Text),
        ("address", Kind::Text),
        ("area_code", Kind::Text),
        ("industry", Kind::Text),
        ("registered_capital", Kind::Money),
        ("established_on", Kind::Date),
        ("status", Kind::Text),
        ("updated_at", Kind::Timestamp),
    ],
};

pub const PROFILE: Sheet = Sheet {
    dataset: "market.enterprise_profile",
    columns: &[
        ("credit_code", Kind::Text),
        ("year", Kind::Integer),
        ("form", Kind::Text),
        ("area_code", Kind::Text),
        ("section", Kind::Text),
        ("chain", Kind::Text),
        ("chain_node", Kind::Text),
        ("established_on", Kind::Date),
        ("staff", Kind::Integer),
        ("technical_staff", Kind::Integer),
        ("research_staff", Kind::Integer),
        ("revenue", Kind::Money),
        ("revenue_before", Kind::Money),
        ("revenue_two_before", Kind::Money),
        ("research", Kind::Money),
        ("research_before", Kind::Money),
        ("research_two_before", Kind::Money),
        ("high_tech_revenue", Kind::Money),
        ("main_business_share", Kind::Number),
        ("assets", Kind::Money),
        ("debt", Kind::Money),
        ("tax_paid", Kind::Money),
        ("invention_patents", Kind::Integer),
        ("other_rights", Kind::Integer),
        ("high_tech", Kind::Boolean),
        ("title", Kind::Text),
        ("major_incident", Kind::Boolean),
        ("geometry", Kind::Point),
    ],
};

const CHUNK_FIRMS: usize = 16 * 1024;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const UPDATED_WITHIN_MINUTES: usize = 60 * 24 * 30;

/// Firms of one district and section.
struct Lot {
    district: usize,
    section: usize,
    /// The number of its first firm.
    first: usize,
}

struct Maker<'a> {
    places: &'a Places<'a>,
    lots: Vec<Lot>,
    total: usize,
    /// By district: running totals of what draws firms to its communities.
    draws: Vec<Vec<f64>>,
}

pub fn enterprises(
    places: &Places<'_>,
    dir: &Path,
    threads: usize,
    told: &dyn Fn(usize),
) -> Result<Vec<(String, usize)>> {
    let maker = Maker::new(places);
    let mut register = Table::create(dir, &ENTERPRISE)?;
    let mut profiles = Table::create(dir, &PROFILE)?;
    let mut made_so_far = 0;
    in_order(
        maker.total.div_ceil(CHUNK_FIRMS),
        threads,
        |chunk| maker.chunk(chunk),
        |(firms, figures): (RecordBatch, RecordBatch)| {
            register.write(&firms)?;
            profiles.write(&figures)?;
            made_so_far += firms.num_rows();
            told(made_so_far);
            Ok(())
        },
    )?;
    Ok(vec![
        (ENTERPRISE.dataset.to_owned(), register.close()?),
        (PROFILE.dataset.to_owned(), profiles.close()?),
    ])
}

/// Firms by district and section, in that order.
pub fn counts(plan: &Plan) -> Vec<usize> {
    let sections = &plan.facts.enterprises.section;
    let weights: Vec<f64> = plan
        .facts
        .districts
        .iter()
        .flat_map(|district| {
            let firms = district.employed.iter().zip(sections);
            firms.map(|(employed, section)| real(*employed) / section.mean_staff)
        })
        .collect();
    apportion(plan.scaled(plan.facts.enterprises.total), &weights)
}

impl<'a> Maker<'a> {
    fn new(places: &'a Places<'a>) -> Self {
        let plan = places.plan;
        let sections = plan.facts.enterprises.section.len();
        let (mut lots, mut first) = (Vec::new(), 0);
        for (at, count) in counts(plan).into_iter().enumerate().filter(|(_, count)| *count > 0) {
            lots.push(Lot { district: at / sections, section: at % sections, first });
            first += count;
        }
        let draws = plan.districts.iter().map(|district| {
            totals(district.communities.clone().map(|number| {
                let community = &plan.communities[number];
                let mut rng = Rng::of(plan.seed, Topic::Enterprises, number as u64 | (1 << 63));
                let town = if community.urban { 2.0 } else { 1.0 };
                town * real(community.people + 1).powf(0.8) * rng.log_normal(1.0, 0.6)
            }))
        });
        Self { places, lots, total: first, draws: draws.collect() }
    }

    fn chunk(&self, chunk: usize) -> (RecordBatch, RecordBatch) {
        let (mut firms, mut figures) = (Rows::new(&ENTERPRISE), Rows::new(&PROFILE));
        let first = chunk * CHUNK_FIRMS;
        for number in first..(first + CHUNK_FIRMS).min(self.total) {
            self.firm(number, &mut firms, &mut figures);
        }
        (firms.finish(), figures.finish())
    }

    fn firm(&self, number: usize, firms: &mut Rows, profiles: &mut Rows) {
        let plan = self.places.plan;
        let facts = &plan.facts.enterprises;
        let mut rng = Rng::of(plan.seed, Topic::Enterprises, number as u64);
        let lot = &self.lots[self.lots.partition_point(|lot| lot.first <= number) - 1];
        let section = &facts.section[lot.section];
        let district = &plan.districts[lot.district];
        let at = district.communities.start + rng.pick_by(&self.draws[lot.district]);
        let community = &plan.communities[at];
        let street = &plan.streets[community.street];
        let (micro, point) = self.places.somewhere(at, &mut rng);
        let figures = Figures::draw(section, facts, &mut rng);
        let code = credit_code(figures.form.code(), &district.code, &facts.code_prefix, number);
        firms.text(&code);
        firms.format(format_args!(
            "{}示例{:07}{}",
            district.name.zh,
            number + 1,
            figures.form.suffix()
        ));
        firms.format(format_args!("法人{:07}", number + 1));
        firms.format(format_args!("100{:08}", rng.below(100_000_000)));
        let house = 1 + rng.below(300);
        firms.format(format_args!("{}{}{house}号", street.name.zh, community.name.zh));
        firms
            .text(&street.code)
            .text(rng.pick::<String>(&section.codes))
            .cents(cents(figures.capital));
        firms.date(figures.established_on).text(figures.status);
        let minutes = crate::num::signed(rng.below(UPDATED_WITHIN_MINUTES));
        firms.timestamp(facts.updated_to.timestamp_micros() - minutes * MICROS_PER_MINUTE);
        profiles.text(&code).integer(i64::from(facts.year)).text(figures.form.word());
        profiles.text(&plan.micros[micro].code).text(&section.id);
        let node = self.chain_node(section, &figures, &mut rng);
        profiles.text_or(node.map(|(chain, _)| chain)).text_or(node.map(|(_, node)| node));
        figures.write(profiles);
        profiles.point(&plan.plane, point);
    }

    /// The chain and node that a firm belongs to: likelier the more it searches.
    fn chain_node(
        &self,
        section: &Section,
        figures: &Figures,
        rng: &mut Rng,
    ) -> Option<(&str, &str)> {
        const OF_THEM: f64 = 0.12;
        const RESEARCHING: f64 = 0.75;
        let share = if figures.research[0] > 0.0 { RESEARCHING } else { OF_THEM };
        if figures.form != Form::Company || !rng.chance(share) {
            return None;
        }
        let chains = &self.places.plan.facts.enterprises.chain;
        let fitting: Vec<_> =
            chains.iter().filter(|chain| chain.sections.contains(&section.id)).collect();
        if fitting.is_empty() {
            return None;
        }
        let chain = *rng.pick(&fitting);
        Some((&chain.id, &rng.pick(&chain.nodes).id))
    }
}
