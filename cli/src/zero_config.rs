//! `meseta up` without a file: a configuration from what this machine has, the provider keys in the environment and a
//! local Ollama. Listens on loopback only. The text names variables, never their values.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use hyper::Method;
use serde::Deserialize;

use crate::failure::Failure;
use crate::instance::StateDir;
use crate::source::{self, Source};
use crate::supervisor;
use crate::terminal::Terminal;
use meseta_ext_proc::plain_http::{self, Peer};

/// Where Ollama listens unless told otherwise.
const OLLAMA: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 11434);
/// A local server answers at once or not at all.
const LIMIT: Duration = Duration::from_millis(500);

/// Detects providers and loads the configuration made of them, whose text comes with it; the file is not written yet.
pub fn detect(terminal: &Terminal, state: &StateDir) -> Result<(Source, String)> {
    let path = state.detected_config();
    let environment = source::environment_for(&path)?;
    let ollama = supervisor::block_on(async { Ok(has_models(OLLAMA).await) })?;
    let read = |name: &str| environment.variable(name);
    let Some(text) = meseta_config::detected(&read, ollama) else {
        return Err(nothing_found().into());
    };
    let source = Source::load(&path, &text, environment)?;
    let found: Vec<String> = source
        .config()
        .providers
        .iter()
        .map(|provider| match &provider.key_variable {
            Some(variable) => format!("{} ({variable})", provider.name),
            None => format!("{} ({}:{})", provider.name, provider.host, provider.port),
        })
        .collect();
    terminal.info(&format!(
        "no configuration file here: using what was detected: {}",
        found.join(", ")
    ));
    Ok((source, text))
}

fn nothing_found() -> Failure {
    let mut variables: Vec<&str> = hermesllm::providers::catalogue()
        .iter()
        .filter(|entry| entry.base_url.is_some())
        .flat_map(|entry| entry.key_env)
        .copied()
        .collect();
    variables.sort_unstable();
    variables.dedup();
    Failure::usage(format!(
        "no configuration file here, no provider key in the environment and no Ollama on {OLLAMA}\nlooked for: {}",
        variables.join(", ")
    ))
    .hint("set one of them (also in `.env`), start Ollama, or write a `meseta.yaml`")
}

/// Whether an Ollama answers there and has a model.
async fn has_models(address: SocketAddr) -> bool {
    #[derive(Deserialize)]
    struct Tags {
        models: Vec<serde::de::IgnoredAny>,
    }
    let Ok(answer) = plain_http::call(&Peer::Tcp(address), Method::GET, "/api/tags", LIMIT).await
    else {
        return false;
    };
    let tags: Option<Tags> = serde_json::from_slice(&answer.body).ok();
    answer.status.is_success() && tags.is_some_and(|tags| !tags.models.is_empty())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn asked(answer: &'static str) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all((head + answer).as_bytes()).await.unwrap();
        });
        has_models(address).await
    }

    #[tokio::test]
    async fn an_ollama_counts_when_it_has_a_model() {
        assert!(asked(r#"{"models":[{"name":"llama3.2:1b"}]}"#).await);
        assert!(!asked(r#"{"models":[]}"#).await);
        assert!(!asked("<html>").await);
    }
}
