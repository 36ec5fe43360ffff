//! How people come in: by password always, by an OpenID provider where one is set up, by the
//! logins of a demonstration where everybody knows them.

use std::sync::Arc;

use pack::Text;
use serde::Serialize;
use utoipa::ToSchema;

use super::oidc::Provider;
use crate::throttle::Throttle;

/// What signing in is set up with.
#[derive(Default)]
pub struct Doors {
    /// Browsers come by TLS, ours or a proxy's: the cookie is for nothing else.
    pub secure: bool,
    /// Where browsers find us, without a slash at its end; none: at the address that is served.
    pub public_url: Option<String>,
    /// A demonstration's logins. Everybody knows them, so that no second factor is asked of them.
    pub demo: Option<Vec<DemoLogin>>,
    pub oidc: Vec<Provider>,
    /// Failures, counted together with those of the other faces.
    pub throttle: Arc<Throttle>,
}

/// A login that everybody may use.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DemoLogin {
    pub user: String,
    pub password: String,
    #[schema(value_type = Bilingual)]
    pub title: Text,
    /// A role's id.
    pub role: String,
}

/// A text for people in Chinese and English: the shape of [`Text`] in the interface's description.
#[derive(Debug, ToSchema)]
pub struct Bilingual {
    pub zh: String,
    pub en: String,
}
