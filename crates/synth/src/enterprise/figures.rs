//! A firm's figures, drawn so that they hang together.

use chrono::{Datelike, NaiveDate};

use crate::facts::{EnterpriseFacts, Section};
use crate::num::{floor, real, round_i64, signed};
use crate::rng::Rng;
use crate::sheet::Rows;

const YUAN_PER_10K: f64 = 10_000.0;
const CENTS_PER_YUAN: f64 = 100.0;
const YEARS: usize = 3;
/// No firm of the city is larger.
const STAFF_MAX: f64 = 60_000.0;
/// Staff of companies: the spread of its logarithm, and the share and exponent of the heavy tail
/// (Axtell 2001 finds about 1.06 for firms of the United States).
const STAFF_SIGMA: f64 = 1.25;
const TAIL_SHARE: f64 = 0.01;
const TAIL_EXPONENT: f64 = 1.06;
const TAIL_MAX: f64 = 400.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Company,
    Individual,
    Cooperative,
}

impl Form {
    /// GB 32100: 9 for market regulation; 1 companies, 2 individual businesses, 3 cooperatives.
    pub fn code(self) -> &'static str {
        match self {
            Self::Company => "91",
            Self::Individual => "92",
            Self::Cooperative => "93",
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Individual => "individual",
            Self::Cooperative => "cooperative",
        }
    }

    pub fn suffix(self) -> &'static str {
        match self {
            Self::Company => "有限公司",
            Self::Individual => "个体工商户",
            Self::Cooperative => "专业合作社",
        }
    }
}

/// Amounts in yuan; years from the last to the one two before.
#[derive(Debug)]
pub struct Figures {
    pub form: Form,
    pub status: &'static str,
    pub established_on: i32,
    pub capital: f64,
    pub research: [f64; YEARS],
    staff: usize,
    technical: usize,
    researchers: usize,
    revenue: [f64; YEARS],
    high_tech_revenue: f64,
    main_share: f64,
    assets: f64,
    debt: f64,
    tax: f64,
    patents: usize,
    rights: usize,
    high_tech: bool,
    title: &'static str,
    incident: bool,
}

/// Yuan to cents.
pub fn cents(yuan: f64) -> i64 {
    round_i64(yuan * CENTS_PER_YUAN)
}

impl Figures {
    pub fn draw(section: &Section, facts: &EnterpriseFacts, rng: &mut Rng) -> Self {
        let form = form(section, rng);
        let quality = rng.normal();
        let (established_on, age) = established(facts, rng);
        let status = match rng.unit() {
            at if at < 0.90 => "active",
            at if at < 0.93 => "suspended",
            at if at < 0.95 => "revoked",
            _ => "cancelled",
        };
        let active = status == "active";
        let staff = if active { staff(section, form, quality, age, rng) } else { 0 };
        let revenue = revenue(section, staff, quality, age, rng);
        let research = research(section, form, &revenue, quality, rng);
        let intensity = if revenue[0] > 0.0 { research[0] / revenue[0] } else { 0.0 };
        let technical = share(staff, 0.05 + 2.5 * intensity + 0.04 * rng.normal());
        let researchers = share(technical, 0.3 + 1.5 * intensity).min(technical);
        let millions: f64 = research.iter().sum::<f64>() / 1e6;
        let patents = rng.poisson((0.35 * millions * (0.4 * quality).exp()).min(3_000.0));
        let rights = rng.poisson((0.1 + 1.2 * millions).min(6_000.0)) * usize::from(active);
        let assets =
            revenue[0].max(20_000.0) * rng.log_normal(1.1, 0.6) * real(usize::from(active));
        let ratio = section.debt_ratio + 0.18 * rng.normal() - 0.05 * quality;
        let main_share = (0.93 + 0.07 * rng.normal()).clamp(0.3, 1.0);
        let high_tech_share = (12.0 * intensity + 0.1 * rng.normal()).clamp(0.0, 1.0);
        let mut figures = Self {
            form,
            status,
            established_on,
            capital: capital(form, assets, rng),
            staff,
            technical,
            researchers,
            high_tech_revenue: revenue[0] * high_tech_share * main_share,
            main_share,
            assets,
            debt: assets * ratio.clamp(0.02, 1.3),
            tax: revenue[0] * (0.03 + 0.012 * rng.normal()).max(0.0),
            patents,
            rights,
            high_tech: false,
            title: "none",
            incident: active && rng.chance(0.002),
            revenue,
            research,
        };
        figures.high_tech = figures.could_be_high_tech(age) && rng.chance(facts.high_tech_share);
        figures.title = figures.draw_title(age, rng);
        figures
    }

    /// About what the recognition of high-tech enterprises asks for; holders are fewer.
    fn could_be_high_tech(&self, age: f64) -> bool {
        self.form == Form::Company
            && age >= 1.0
            && self.patents + self.rights > 0
            && real(self.technical) >= 0.1 * real(self.staff)
            && self.high_tech_revenue >= 0.6 * self.revenue[0]
            && self.research[0] >= 0.03 * self.revenue[0]
            && self.revenue[0] > 0.0
            && !self.incident
    }

    fn draw_title(&self, age: f64, rng: &mut Rng) -> &'static str {
        if !self.high_tech || age < 3.0 {
            return "none";
        }
        let large = self.revenue[0] >= 3e7 && self.patents >= 4 && self.main_share >= 0.9;
        let middling = self.revenue[0] >= 8e6 && self.patents >= 1 && self.main_share >= 0.8;
        match rng.unit() {
            at if large && at < 0.7 => "little_giant",
            at if middling && at < 0.8 => "specialised",
            at if at < 0.9 => "innovative",
            _ => "none",
        }
    }

    /// Cells of the profile from the date of establishment to the incident.
    pub fn write(&self, rows: &mut Rows) {
        rows.date(self.established_on);
        rows.count(self.staff).count(self.technical).count(self.researchers);
        for yuan in self.revenue.iter().chain(&self.research) {
            rows.cents(cents(*yuan));
        }
        rows.cents(cents(self.high_tech_revenue)).number(round_4(self.main_share));
        rows.cents(cents(self.assets)).cents(cents(self.debt)).cents(cents(self.tax));
        rows.integer(signed(self.patents)).integer(signed(self.rights));
        rows.boolean_or(Some(self.high_tech)).text(self.title).boolean_or(Some(self.incident));
    }
}

fn round_4(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn form(section: &Section, rng: &mut Rng) -> Form {
    const COOPERATIVES_ON_THE_LAND: f64 = 0.4;
    let at = rng.unit();
    let cooperative = if section.id == "A" { COOPERATIVES_ON_THE_LAND } else { 0.0 };
    match at - section.company_share {
        rest if rest < 0.0 => Form::Company,
        rest if rest < (1.0 - section.company_share) * cooperative => Form::Cooperative,
        _ => Form::Individual,
    }
}

/// A day of establishment, likelier the later, and the age in years at the end of the last year.
fn established(facts: &EnterpriseFacts, rng: &mut Rng) -> (i32, f64) {
    const MEAN_AGE_YEARS: f64 = 6.5;
    const DAYS_PER_YEAR: f64 = 365.25;
    let end = NaiveDate::from_ymd_opt(facts.year, 12, 31).map_or(0, |d| d.num_days_from_ce());
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).map_or(0, |d| d.num_days_from_ce());
    let oldest = f64::from(facts.year - facts.founded_from_year);
    let mut age = -MEAN_AGE_YEARS * (1.0 - rng.unit()).ln();
    if age > oldest {
        age = oldest * rng.unit();
    }
    let days = i32::try_from(floor(age * DAYS_PER_YEAR)).expect("decades in days");
    (end - epoch - days, age)
}

fn staff(section: &Section, form: Form, quality: f64, age: f64, rng: &mut Rng) -> usize {
    const OF_AN_INDIVIDUAL: f64 = 1.25;
    if form != Form::Company {
        return 1 + rng.poisson(OF_AN_INDIVIDUAL - 1.0);
    }
    // What individual businesses leave, so that the section's mean comes out.
    let rest = section.mean_staff - (1.0 - section.company_share) * OF_AN_INDIVIDUAL;
    let mean = (rest / section.company_share).max(2.0);
    let grown = 0.7 + 0.05 * age.min(20.0);
    let median = mean * grown * (-STAFF_SIGMA * STAFF_SIGMA / 2.0).exp() / 1.1;
    let mut staff = rng.log_normal(median, STAFF_SIGMA) * (0.15 * quality).exp();
    if rng.chance(TAIL_SHARE) {
        staff *= (1.0 - rng.unit()).powf(-1.0 / TAIL_EXPONENT).min(TAIL_MAX);
    }
    floor(staff.clamp(1.0, STAFF_MAX))
}

/// Three years of it, none before there was a firm.
fn revenue(section: &Section, staff: usize, quality: f64, age: f64, rng: &mut Rng) -> [f64; YEARS] {
    let head = section.revenue_per_head * YUAN_PER_10K;
    let mut year = real(staff) * head * (0.45 * quality).exp() * rng.log_normal(0.75, 0.55);
    let mut revenue = [0.0; YEARS];
    for (back, slot) in revenue.iter_mut().enumerate() {
        if age < real(back) {
            break;
        }
        // In its first year a firm has part of one.
        *slot = year * (age - real(back)).clamp(0.05, 1.0);
        year /= (1.05 + 0.05 * quality + 0.16 * rng.normal()).clamp(0.4, 2.5);
    }
    revenue
}

fn research(
    section: &Section,
    form: Form,
    revenue: &[f64; YEARS],
    quality: f64,
    rng: &mut Rng,
) -> [f64; YEARS] {
    const SHARE_MAX: f64 = 0.6;
    let inclined = section.researching * (0.5 * quality).exp();
    if form != Form::Company || !rng.chance(inclined.min(0.95)) {
        return [0.0; YEARS];
    }
    let share = section.research_share * rng.log_normal(1.0, 0.7) * (0.3 * quality).exp();
    revenue.map(|year| year * (share * rng.log_normal(1.0, 0.12)).min(SHARE_MAX))
}

fn capital(form: Form, assets: f64, rng: &mut Rng) -> f64 {
    const STEP: f64 = 10_000.0;
    let yuan = match form {
        Form::Company => assets.max(30_000.0) * rng.log_normal(0.35, 0.9),
        _ => rng.log_normal(50_000.0, 0.8),
    };
    (yuan / STEP).ceil() * STEP
}

fn share(of: usize, share: f64) -> usize {
    crate::num::round(real(of) * share.clamp(0.0, 1.0))
}
