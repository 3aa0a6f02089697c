//! What models a provider has, for whoever asked for one that it has not.

use std::time::Duration;

use greenroom_core::model::{ModelError, ModelErrorKind};
use reqwest::{Method, Request};
use serde_json::Value;

use super::model::HttpModel;

/// A list that takes longer than this helps nobody.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a list may be, in bytes.
const LIST_LEN_MAX: usize = 4 << 20;
/// How many names are kept, and how long each may be, in bytes.
const NAMES_MAX: usize = 2000;
const NAME_LEN_MAX: usize = 200;

impl HttpModel {
    /// The names of the models that its provider lists, as the provider spells them. It takes at most 5
    /// seconds.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when the provider cannot be asked, or has no such list.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the request; nothing is lost.
    pub async fn list(&self) -> Result<Vec<String>, ModelError> {
        let endpoint = self.endpoint();
        let none = || endpoint.error(ModelErrorKind::Endpoint, "there is no list of models");
        let url = endpoint.beside(endpoint.wire.models_path()).ok_or_else(none)?;
        let mut request = Request::new(Method::GET, url);
        *request.headers_mut() = endpoint.headers.clone();
        *request.timeout_mut() = Some(LIST_TIMEOUT);
        let (response, _claim) = endpoint.reach(request).await?;
        let response = endpoint.check(response).await?;
        let body = endpoint.body(response, LIST_LEN_MAX).await?;
        names(&body).ok_or_else(none)
    }
}

/// Reads the two forms that are about: `{data: [{id}]}` and `{models: [{name}]}`.
fn names(body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let (list, key) = match (body.get("data"), body.get("models")) {
        (Some(data), _) => (data, "id"),
        (None, models) => (models?, "name"),
    };
    let names = list.as_array()?.iter().filter_map(|model| model.get(key)?.as_str());
    let names = names.filter(|name| name.len() <= NAME_LEN_MAX && !name.contains(char::is_control));
    Some(names.take(NAMES_MAX).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expect: Option<&[&str]>) {
        let expect: Option<Vec<_>> =
            expect.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(body.as_bytes()), expect, "{body}");
    }

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        check(
            r#"{"object":"list","data":[{"id":"gpt-5"},{"id":"a\u001b[2J"},{}]}"#,
            Some(&["gpt-5"]),
        );
        check(r#"{"models":[{"name":"llama3.2:3b","size":1},{"id":"x"}]}"#, Some(&["llama3.2:3b"]));
        check(r#"{"data":{}}"#, None);
        check("<html>", None);
        check("{}", None);
    }
}
