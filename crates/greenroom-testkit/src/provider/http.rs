//! Requests of HTTP/1.1, read by hand: what is not read by hand cannot be answered wrongly on purpose.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::record::Received;

const HEAD_LEN_MAX: u64 = 64 << 10;
const BODY_LEN_MAX: usize = 64 << 20;

/// Reads a request; `None` when the connection ends before one begins.
///
/// What is no request is [`io::ErrorKind::InvalidData`].
pub(super) async fn read(
    stream: &mut (impl AsyncBufRead + Unpin),
    connection: usize,
) -> io::Result<Option<Received>> {
    match stream.fill_buf().await?.first() {
        None => return Ok(None),
        // A client that speaks TLS waits for an answer before it sends the end of a line.
        Some(first) if !first.is_ascii_alphabetic() => return Err(not_http()),
        Some(_) => {}
    }
    let Some(head) = head(stream).await? else { return Ok(None) };
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path)) = (first.next(), first.next()) else { return Err(not_http()) };
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let len = headers.iter().find(|(name, _)| name == "content-length");
    let len = len.and_then(|(_, len)| len.parse().ok()).unwrap_or(0_usize);
    if len > BODY_LEN_MAX {
        return Err(not_http());
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        body_len: len,
        connection,
    }))
}

/// Everything before the empty line.
async fn head(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut stream = stream.take(HEAD_LEN_MAX);
    let mut head = String::new();
    loop {
        let before = head.len();
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
        if head[before..].trim().is_empty() {
            return Ok(Some(head));
        }
    }
}

fn not_http() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
