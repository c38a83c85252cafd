//! Request lines: a method, a line feed, and a path with its query.
#![no_main]

use hermesllm::dialect::Dialect;
use hermesllm::endpoint::{allowed_methods, route, Endpoint, RouteError};
use libfuzzer_sys::fuzz_target;

/// Every byte escaped.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fuzz_target!(|input: &str| {
    let Some((method, line)) = input.split_once('\n') else {
        return;
    };
    let allowed = allowed_methods(line);
    for fallback in Dialect::ALL {
        match route(method, line, fallback) {
            Ok(route) => {
                let allowed = allowed.expect("what has a route has methods");
                assert!(allowed.split(", ").any(|known| known == method));
                assert_eq!(allowed, route.endpoint.methods());
                assert_eq!(
                    route.model_id.is_some(),
                    route.endpoint == Endpoint::Model || route.endpoint.stream_by_path().is_some(),
                    "a name belongs to some endpoints"
                );
                let query = line.split_once('?').map(|(_, query)| query);
                assert_eq!(route.query, query);
            }
            Err(RouteError::MethodNotAllowed { allow, .. }) => {
                assert_eq!(allowed, Some(allow));
                assert!(!allow.split(", ").any(|known| known == method));
            }
            Err(RouteError::NotFound { .. }) => assert_eq!(allowed, None),
        }
    }
    if !line.is_empty() {
        let path = format!("/v1/models/{}", escaped(line));
        let found = route("GET", &path, Dialect::OpenAi).expect("any name is a model's");
        assert_eq!(found.model_id.as_deref(), Some(line), "escapes are undone");
    }
});
