//! The columns of the sensing datasets' files. An import wants all of a contract's columns, so those
//! that a synthetic city has nothing for are there, last and empty.

use crate::sheet::{Kind, Sheet};

pub const PROCEDURE: Sheet = Sheet {
    dataset: "sensing.sensor",
    columns: &[
        ("id", Kind::Integer),
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("encoding_type", Kind::Text),
        ("metadata", Kind::Text),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
        ("properties", Kind::Text),
    ],
};

pub const PROPERTY: Sheet = Sheet {
    dataset: "sensing.observed_property",
    columns: &[
        ("id", Kind::Integer),
        ("name", Kind::Text),
        ("definition", Kind::Text),
        ("description", Kind::Text),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
        ("properties", Kind::Text),
    ],
};

pub const LOCATION: Sheet = Sheet {
    dataset: "sensing.location",
    columns: &[
        ("id", Kind::Integer),
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("encoding_type", Kind::Text),
        ("location", Kind::Text),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
        ("geometry", Kind::Point),
        ("properties", Kind::Text),
    ],
};

pub const THING: Sheet = Sheet {
    dataset: "sensing.thing",
    columns: &[
        ("id", Kind::Integer),
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("properties", Kind::Text),
        ("area_code", Kind::Text),
        ("network", Kind::Text),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
        ("geometry", Kind::Point),
    ],
};

pub const THING_LOCATION: Sheet = Sheet {
    dataset: "sensing.thing_location",
    columns: &[
        ("thing", Kind::Integer),
        ("location", Kind::Integer),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
    ],
};

pub const HISTORY: Sheet = Sheet {
    dataset: "sensing.historical_location",
    columns: &[
        ("id", Kind::Integer),
        ("thing", Kind::Integer),
        ("time", Kind::Timestamp),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
    ],
};

pub const HISTORY_PLACE: Sheet = Sheet {
    dataset: "sensing.historical_location_place",
    columns: &[
        ("historical_location", Kind::Integer),
        ("location", Kind::Integer),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
    ],
};

pub const DATASTREAM: Sheet = Sheet {
    dataset: "sensing.datastream",
    columns: &[
        ("id", Kind::Integer),
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("observation_type", Kind::Text),
        ("unit_of_measurement", Kind::Text),
        ("multi", Kind::Boolean),
        ("properties", Kind::Text),
        ("thing", Kind::Integer),
        ("sensor", Kind::Integer),
        ("observed_property", Kind::Integer),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
        ("data_types", Kind::Text),
        ("phenomenon_start", Kind::Timestamp),
        ("phenomenon_end", Kind::Timestamp),
        ("result_start", Kind::Timestamp),
        ("result_end", Kind::Timestamp),
        ("observed_area", Kind::Polygon),
    ],
};

pub const FEATURE: Sheet = Sheet {
    dataset: "sensing.feature_of_interest",
    columns: &[
        ("id", Kind::Integer),
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("encoding_type", Kind::Text),
        ("feature", Kind::Text),
        ("location", Kind::Integer),
        ("owner", Kind::Text),
        ("sharing", Kind::Text),
        ("geometry", Kind::Point),
        ("properties", Kind::Text),
    ],
};
