//! The description of the HTTP interface. It is generated from the handlers, checked in as
//! `docs/openapi.json`, and a test holds the two together.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    corrections, credentials, datasets, feed, oidc, people, scenarios, session, sharing, sql,
    steward,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shujin",
        description = "A city's data, governed. Every request is answered as far as the bearer of \
                       its token may see.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(name = "Shujin", url = "https://github.com/shujin-city/shujin"),
    ),
    paths(
        sql::sql,
        datasets::trace,
        datasets::list,
        datasets::page,
        datasets::quality,
        datasets::check_quality,
        datasets::dcat,
        sharing::list,
        sharing::create,
        sharing::grant,
        sharing::refuse,
        sharing::revoke,
        sharing::withdraw,
        corrections::list,
        corrections::file,
        corrections::step,
        scenarios::list,
        scenarios::create,
        scenarios::change,
        scenarios::delete,
        feed::import,
        feed::backup,
        steward::quarantine,
        steward::repair,
        steward::dismiss,
        steward::audit,
        steward::verify_audit,
        session::page,
        session::sign_in,
        session::me,
        session::sign_out,
        session::password,
        session::enrol,
        session::confirm,
        session::remove,
        oidc::start,
        oidc::callback,
        people::list,
        people::create,
        people::change,
        people::roles,
        people::organisations,
        credentials::tokens,
        credentials::make_token,
        credentials::revoke_token,
        credentials::sessions,
        credentials::end_session,
    ),
    tags(
        (name = "session", description = "Signing in"),
        (name = "administration", description = "Users, tokens, sessions"),
        (name = "sql", description = "Questions in SQL"),
        (name = "catalogue", description = "What there is"),
        (name = "sharing", description = "Asking for datasets and granting them"),
        (name = "corrections", description = "Values held to be wrong"),
        (name = "scenarios", description = "The same questions under other rows"),
        (name = "steward", description = "Quarantine and audit"),
    ),
    modifiers(&Token),
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        let cookie = ApiKey::Cookie(ApiKeyValue::new("shujin_session"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// The description, as served and as checked in.
pub fn document() -> Document {
    Api::openapi()
}

pub async fn serve() -> Json<Document> {
    Json(document())
}
