//! Made-up trees: printed and read again, each is the tree that it was.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeZone};
use geo_types::{Coord, Geometry, LineString, MultiPoint, Point, Polygon};
use proptest::prelude::*;

use super::Expr;
use crate::odata::{
    Aggregate, AggregateMethod, Apply, BinaryOp, Direction, EntityId, Expand, ExprKind, Function,
    GroupKey, IsoDuration, Literal, OrderBy, Path, QueryOptions, ResourceEnd, ResourcePath,
    ResourceSegment, ResultFormat, SelectItem, Span, Spanned, Step, Target, Window,
};
use crate::schema::{Entity, EntityKind, Property, SENSORTHINGS_1_1};

/// Expressions inside expressions.
const DEPTH: u32 = 4;
const YEAR_9999: i64 = 253_370_764_800;

type Kinds = BoxedStrategy<ExprKind>;

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::default())
}

fn boxed(kind: ExprKind) -> Box<Expr> {
    Box::new(spanned(kind))
}

/// A path of the model from its text.
fn path(kind: EntityKind, text: &str) -> Path {
    let filter = Expr::parse_filter(&SENSORTHINGS_1_1, kind, &format!("{text} eq null")).unwrap();
    match filter.value {
        ExprKind::Binary { left, .. } => match left.value {
            ExprKind::Path(path) => path,
            other => panic!("no path: {other:?}"),
        },
        other => panic!("no comparison: {other:?}"),
    }
}

fn paths(kind: EntityKind, texts: &'static [&'static str]) -> Kinds {
    prop::sample::select(texts).prop_map(move |text| ExprKind::Path(path(kind, text))).boxed()
}

// --- Literals ---------------------------------------------------------------------------------

fn offset() -> impl Strategy<Value = FixedOffset> {
    (-23 * 60..=23 * 60_i32).prop_map(|minutes| FixedOffset::east_opt(minutes * 60).unwrap())
}

fn instant() -> impl Strategy<Value = DateTime<FixedOffset>> {
    (0..YEAR_9999, 0..1_000_000_000_u32, offset())
        .prop_map(|(second, nanos, offset)| offset.timestamp_opt(second, nanos).unwrap())
}

fn duration() -> impl Strategy<Value = IsoDuration> {
    (0..10_000_i32, 0..i64::MAX / 1_000, any::<bool>()).prop_map(|(months, micros, negative)| {
        let sign = if negative { -1 } else { 1 };
        IsoDuration { months: sign * months, micros: i64::from(sign) * micros }
    })
}

fn coord() -> impl Strategy<Value = Coord<f64>> {
    (-180.0..=180.0, -90.0..=90.0).prop_map(|(x, y)| Coord { x, y })
}

fn geometry() -> impl Strategy<Value = Geometry<f64>> {
    let coords = || prop::collection::vec(coord(), 3..6);
    prop_oneof![
        coord().prop_map(|c| Geometry::Point(Point(c))),
        coords().prop_map(|c| Geometry::LineString(LineString(c))),
        coords().prop_map(|c| Geometry::Polygon(Polygon::new(LineString(c), vec![]))),
        coords()
            .prop_map(|c| { Geometry::MultiPoint(MultiPoint(c.into_iter().map(Point).collect())) }),
        coord().prop_map(|c| {
            let parts = vec![Geometry::Point(Point(c)), Geometry::Point(Point(c))];
            Geometry::GeometryCollection(geo_types::GeometryCollection(parts))
        }),
    ]
    // A ring whose first corner is its last needs three others.
    .prop_filter("a ring of three corners", |geometry| match geometry {
        Geometry::Polygon(polygon) => polygon.exterior().0.len() >= 4,
        _ => true,
    })
}

fn literal(strategy: impl Strategy<Value = Literal> + 'static) -> Kinds {
    strategy.prop_map(ExprKind::Literal).boxed()
}

// --- Expressions by the type of their value, for Observations ---------------------------------

fn member() -> Kinds {
    let steps = prop::collection::vec(
        prop_oneof![any::<String>().prop_map(Step::Key), any::<u32>().prop_map(Step::Index)],
        0..3,
    );
    steps
        .prop_map(|members| {
            let mut path = path(EntityKind::Observation, "parameters");
            // The whole of a JSON object has no type that operators know.
            path.steps.push(spanned(Step::Key("a".to_owned())));
            path.steps.extend(members.into_iter().map(spanned));
            ExprKind::Path(path)
        })
        .boxed()
}

fn call(function: Function, arguments: Vec<ExprKind>) -> ExprKind {
    ExprKind::Call { function, arguments: arguments.into_iter().map(spanned).collect() }
}

fn numbers(depth: u32) -> Kinds {
    let leaf = prop_oneof![
        literal(any::<i64>().prop_map(Literal::Integer)),
        literal(prop::num::f64::NORMAL.prop_map(Literal::Double)),
        paths(EntityKind::Observation, &["result", "id", "Datastream/Thing/properties/x"])
            .prop_filter("an id is no number to calculate with", |kind| kind.to_string() != "id"),
        member(),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let operator = prop::sample::select(vec![
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Mod,
    ]);
    prop_oneof![
        leaf,
        (operator, numbers(depth - 1), numbers(depth - 1)).prop_map(|(op, left, right)| {
            ExprKind::Binary { op, left: boxed(left), right: boxed(right) }
        }),
        numbers(depth - 1).prop_map(|operand| ExprKind::Negate(boxed(operand))),
        numbers(depth - 1).prop_map(|number| call(Function::Round, vec![number])),
        texts(depth - 1).prop_map(|text| call(Function::Length, vec![text])),
        times(depth - 1).prop_map(|time| call(Function::Year, vec![time])),
    ]
    .boxed()
}

fn texts(depth: u32) -> Kinds {
    let leaf = prop_oneof![
        literal(any::<String>().prop_map(Literal::Text)),
        paths(EntityKind::Observation, &["Datastream/name", "FeatureOfInterest/name"]),
        member(),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        leaf,
        (texts(depth - 1), texts(depth - 1)).prop_map(|(a, b)| call(Function::Concat, vec![a, b])),
        (texts(depth - 1), 0..9_i64).prop_map(|(text, start)| {
            let start = ExprKind::Literal(Literal::Integer(start));
            call(Function::Substring, vec![text, start])
        }),
    ]
    .boxed()
}

fn times(depth: u32) -> Kinds {
    let day = (0..9999_i32, 1..=365_u32)
        .prop_map(|(year, day)| Literal::Date(NaiveDate::from_yo_opt(year, day).unwrap()));
    let leaf = prop_oneof![
        literal(instant().prop_map(Literal::Instant)),
        literal(day),
        literal(
            (instant(), instant())
                .prop_map(|(a, b)| Literal::Interval { start: a.min(b), end: a.max(b) })
        ),
        paths(EntityKind::Observation, &["phenomenonTime", "resultTime", "validTime"]),
        Just(call(Function::Now, vec![])),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![
        leaf,
        (times(depth - 1), duration(), any::<bool>()).prop_map(|(time, duration, add)| {
            let op = if add { BinaryOp::Add } else { BinaryOp::Sub };
            let right = boxed(ExprKind::Literal(Literal::Duration(duration)));
            ExprKind::Binary { op, left: boxed(time), right }
        }),
    ]
    .boxed()
}

fn places() -> Kinds {
    prop_oneof![
        literal(geometry().prop_map(Literal::Geography)),
        paths(EntityKind::Observation, &["FeatureOfInterest/feature"]),
    ]
    .boxed()
}

fn comparison() -> impl Strategy<Value = BinaryOp> {
    prop::sample::select(vec![
        BinaryOp::Eq,
        BinaryOp::Ne,
        BinaryOp::Gt,
        BinaryOp::Ge,
        BinaryOp::Lt,
        BinaryOp::Le,
    ])
}

fn compared(of: fn(u32) -> Kinds, depth: u32) -> Kinds {
    (comparison(), of(depth), of(depth))
        .prop_map(|(op, left, right)| ExprKind::Binary {
            op,
            left: boxed(left),
            right: boxed(right),
        })
        .boxed()
}

fn clocks(_: u32) -> Kinds {
    let clock = (0..86_400_u32, 0..1_000_000_000_u32).prop_map(|(second, nanos)| {
        let time = NaiveTime::from_num_seconds_from_midnight_opt(second, nanos).unwrap();
        Literal::TimeOfDay(time)
    });
    literal(clock)
}

/// Operands of one kind of chain, none of which is such a chain itself.
fn chain(depth: u32, is_same: fn(&ExprKind) -> bool) -> BoxedStrategy<Vec<Expr>> {
    prop::collection::vec(truths(depth), 2..4)
        .prop_filter("flat", move |operands| !operands.iter().any(is_same))
        .prop_map(|operands| operands.into_iter().map(spanned).collect())
        .boxed()
}

fn truths(depth: u32) -> Kinds {
    let leaf = prop_oneof![
        literal(any::<bool>().prop_map(Literal::Boolean)),
        Just(ExprKind::Literal(Literal::Null)),
        member(),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let below = depth - 1;
    prop_oneof![
        1 => leaf,
        2 => compared(numbers, below),
        2 => compared(texts, below),
        2 => compared(times, below),
        1 => compared(clocks, below),
        1 => truths(below).prop_map(|operand| ExprKind::Not(boxed(operand))),
        2 => chain(below, |kind| matches!(kind, ExprKind::And(_))).prop_map(ExprKind::And),
        2 => chain(below, |kind| matches!(kind, ExprKind::Or(_))).prop_map(ExprKind::Or),
        1 => (truths(below), truths(below)).prop_map(|(left, right)| ExprKind::Binary {
            op: BinaryOp::Eq, left: boxed(left), right: boxed(right),
        }),
        1 => (places(), places()).prop_map(|(a, b)| call(Function::StWithin, vec![a, b])),
        1 => (texts(below), texts(below)).prop_map(|(a, b)| call(Function::Contains, vec![a, b])),
        1 => (times(below), times(below)).prop_map(|(a, b)| call(Function::During, vec![a, b])),
    ]
    .boxed()
}

// --- Options and paths ------------------------------------------------------------------------

fn some<T: Clone + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<Spanned<T>>> {
    prop::option::of(of.prop_map(spanned)).boxed()
}

fn selection(entity: &'static Entity) -> BoxedStrategy<Vec<Spanned<SelectItem>>> {
    let mut items: Vec<SelectItem> =
        entity.navigations.iter().map(SelectItem::Navigation).collect();
    items.extend(entity.properties.iter().map(|property| {
        SelectItem::Property(Path { steps: vec![spanned(Step::Property(property))] })
    }));
    let count = items.len();
    prop::sample::subsequence(items, 0..count)
        .prop_map(|items| items.into_iter().map(spanned).collect())
        .boxed()
}

fn expansions(entity: &'static Entity, depth: u32) -> BoxedStrategy<Vec<Expand>> {
    if depth == 0 {
        return Just(Vec::new()).boxed();
    }
    let count = entity.navigations.len();
    prop::sample::subsequence(entity.navigations.iter().collect::<Vec<_>>(), 0..=count.min(2))
        .prop_flat_map(move |navigations| {
            navigations
                .into_iter()
                .map(|navigation| {
                    let target = SENSORTHINGS_1_1.entity(navigation.target);
                    options(target, depth - 1).prop_map(move |options| Expand {
                        navigation: spanned(navigation),
                        options,
                    })
                })
                .collect::<Vec<_>>()
        })
        .boxed()
}

fn orderby() -> BoxedStrategy<Vec<Spanned<OrderBy>>> {
    let item =
        (prop_oneof![numbers(1), texts(1), times(1)], any::<bool>()).prop_map(|(key, up)| {
            let direction = if up { Direction::Ascending } else { Direction::Descending };
            spanned(OrderBy { key: spanned(key), direction })
        });
    prop::collection::vec(item, 0..3).boxed()
}

fn options(entity: &'static Entity, depth: u32) -> BoxedStrategy<QueryOptions> {
    // The expressions are written for Observations.
    let (filter, order) = if entity.kind == EntityKind::Observation {
        (prop::option::of(truths(2).prop_map(spanned)).boxed(), orderby())
    } else {
        (Just(None).boxed(), Just(Vec::new()).boxed())
    };
    let numbers = (some(any::<bool>()), some(any::<u64>()), some(any::<u64>()));
    (filter, order, numbers, selection(entity), expansions(entity, depth))
        .prop_map(|(filter, orderby, (count, skip, top), select, expand)| QueryOptions {
            filter,
            orderby,
            count,
            skip,
            top,
            select,
            expand,
            ..QueryOptions::default()
        })
        .boxed()
}

fn aggregation() -> BoxedStrategy<Apply> {
    let window = (1..1_000_i64, any::<bool>(), prop::option::of(offset())).prop_map(
        |(length, months, offset)| {
            let length = match months {
                true => IsoDuration { months: i32::try_from(length).unwrap(), micros: 0 },
                false => IsoDuration { months: 0, micros: length },
            };
            let time = path(EntityKind::Observation, "phenomenonTime");
            let alias = if length.months > 6 { "window" } else { "stretch" }.to_owned();
            GroupKey::Window(Window { time, length, offset, alias })
        },
    );
    let key = |text| GroupKey::Path(path(EntityKind::Observation, text));
    let keys = (prop::option::of(window), any::<bool>()).prop_map(move |(window, by_stream)| {
        let stream = by_stream.then(|| key("Datastream/id"));
        window.into_iter().chain(stream).map(spanned).collect::<Vec<_>>()
    });
    let methods = prop::sample::subsequence(
        vec![
            AggregateMethod::Average,
            AggregateMethod::CountDistinct,
            AggregateMethod::First,
            AggregateMethod::Last,
            AggregateMethod::Max,
            AggregateMethod::Min,
            AggregateMethod::Rows,
            AggregateMethod::Sum,
        ],
        1..8,
    );
    (prop::option::of(truths(2).prop_map(spanned)), keys, methods)
        .prop_map(|(filter, keys, methods)| {
            let aggregates = methods.into_iter().enumerate().map(|(index, method)| {
                let path = (method != AggregateMethod::Rows)
                    .then(|| path(EntityKind::Observation, "result"));
                spanned(Aggregate { method, path, alias: format!("名_{index}") })
            });
            let aggregates = aggregates.collect();
            Apply { filter, keys, aggregates }
        })
        .boxed()
}

fn id() -> impl Strategy<Value = EntityId> {
    prop_oneof![any::<i64>().prop_map(EntityId::Integer), any::<String>().prop_map(EntityId::Text)]
}

/// A walk through the model: at each step one of the navigations, by a number that picks it.
fn resource_path() -> BoxedStrategy<ResourcePath> {
    let steps = prop::collection::vec((any::<prop::sample::Index>(), id()), 1..6);
    let members = prop::collection::vec("[^\\[\\]$][^\\[\\]]{0,5}", 0..3);
    (steps, any::<bool>(), any::<bool>(), members, any::<prop::sample::Index>())
        .prop_map(|(steps, whole, raw, members, pick)| {
            let mut segments: Vec<Spanned<ResourceSegment>> = Vec::new();
            for (index, id) in steps {
                let segment = match segments.last() {
                    None => {
                        let entity = index.get(SENSORTHINGS_1_1.entities);
                        ResourceSegment { name: entity.set, entity, many: true, id: Some(id) }
                    }
                    Some(above) => {
                        let navigation = index.get(above.value.entity.navigations);
                        let many = navigation.is_many();
                        let entity = SENSORTHINGS_1_1.entity(navigation.target);
                        let id = many.then_some(id);
                        ResourceSegment { name: navigation.name, entity, many, id }
                    }
                };
                segments.push(spanned(segment));
            }
            let entity = segments.last().unwrap().value.entity;
            let end = match (whole, raw) {
                (true, false) => ResourceEnd::Whole,
                (true, true) => ResourceEnd::References,
                _ => property_end(pick.get(entity.properties), &members, raw),
            };
            ResourcePath { segments, end }
        })
        .boxed()
}

fn property_end(property: &'static Property, members: &[String], raw: bool) -> ResourceEnd {
    let mut steps = vec![spanned(Step::Property(property))];
    if property.value.has_members() {
        steps.push(spanned(Step::Index(7)));
        steps.extend(members.iter().map(|member| spanned(Step::Key(member.clone()))));
    }
    ResourceEnd::Property { path: Path { steps }, raw }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_filter_is_read_as_it_was_printed(kind in truths(DEPTH)) {
        let text = kind.to_string();
        let read = Expr::parse_filter(&SENSORTHINGS_1_1, EntityKind::Observation, &text);
        prop_assert_eq!(read.map(|read| read.value), Ok(kind), "{}", text);
    }

    #[test]
    fn an_expression_knows_its_type_when_it_is_read(kind in numbers(DEPTH)) {
        let value = kind.value_type();
        let truth = ExprKind::Binary {
            op: BinaryOp::Eq,
            left: boxed(kind),
            right: boxed(ExprKind::Literal(Literal::Null)),
        };
        prop_assert!(value.is_numeric() || value.is_dynamic(), "{value:?}");
        let read = Expr::parse_filter(
            &SENSORTHINGS_1_1, EntityKind::Observation, &truth.to_string());
        prop_assert!(read.is_ok(), "{:?}", read);
    }
}

proptest! {
    #[test]
    fn options_are_read_as_they_were_printed(
        options in options(SENSORTHINGS_1_1.entity(EntityKind::Observation), 3),
        format in prop::option::of(Just(ResultFormat::DataArray)),
    ) {
        let mut options = options;
        options.result_format = format.map(spanned);
        let text = options.to_string();
        prop_assert!(text.is_ascii(), "{}", text);
        let target = Target::Collection(EntityKind::Observation);
        prop_assert_eq!(super::options(target, &text), Ok(options), "{}", text);
    }

    #[test]
    fn aggregations_are_read_as_they_were_printed(apply in aggregation()) {
        let options = QueryOptions { apply: Some(spanned(apply)), ..QueryOptions::default() };
        let text = options.to_string();
        let target = Target::Collection(EntityKind::Observation);
        prop_assert_eq!(super::options(target, &text), Ok(options), "{}", text);
    }

    #[test]
    fn paths_are_read_as_they_were_printed(path in resource_path()) {
        let text = path.to_string();
        prop_assert!(text.is_ascii(), "{}", text);
        prop_assert_eq!(ResourcePath::parse(&SENSORTHINGS_1_1, &text), Ok(path), "{}", text);
    }
}
