//! The requests that a bench sends, as bytes that are ready to go.
//!
//! `questions.txt` has one a line: what the answer must be (`allow`, `deny`, or `any` where
//! it is not known), a space, and the body.

use std::net::SocketAddr;

use crate::failure::Failure;

const QUESTIONS: &str = include_str!("questions.txt");
const PATH: &str = "/packs/documents/access/v1/evaluation";

/// One request and what its answer must be.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) bytes: Vec<u8>,
    /// `None`: any decision.
    pub(super) expected: Option<bool>,
}

/// All questions, as requests to a server.
pub(super) fn for_server(address: SocketAddr, key: &str) -> Result<Vec<Question>, Failure> {
    of(QUESTIONS, (PATH, address), key)
}

/// The questions of a text, as requests to a server's path.
pub(super) fn of(
    text: &'static str,
    (path, address): (&str, SocketAddr),
    key: &str,
) -> Result<Vec<Question>, Failure> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    );
    read(text)?
        .into_iter()
        .map(|(expected, body)| {
            let bytes = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
            Ok(Question { bytes, expected })
        })
        .collect()
}

/// The same requests for the bare handler, whose answer is always `true`.
pub(super) fn for_bare(address: SocketAddr, key: &str) -> Result<Vec<Question>, Failure> {
    let mut questions = for_server(address, key)?;
    for question in &mut questions {
        question.expected = Some(true);
    }
    Ok(questions)
}

fn read(text: &str) -> Result<Vec<(Option<bool>, &str)>, Failure> {
    let mut questions = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let expected = match line.split_once(' ') {
            Some(("allow", body)) => (Some(true), body),
            Some(("deny", body)) => (Some(false), body),
            Some(("any", body)) => (None, body),
            _ => {
                return Err(Failure::Failed(format!(
                    "questions.txt: no `allow`, `deny` or `any` in `{line}`"
                )));
            }
        };
        questions.push(expected);
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_questions_are_many_and_differ() {
        let questions = read(QUESTIONS).unwrap();
        let bodies: std::collections::BTreeSet<_> = questions.iter().map(|(_, body)| body).collect();
        assert_eq!(bodies.len(), questions.len());
        assert!(questions.len() >= 64, "{}", questions.len());
    }

    #[test]
    fn a_line_without_an_expectation_is_refused() {
        assert!(read("{}").is_err());
        assert!(read("perhaps {}").is_err());
        assert_eq!(read("# note\n\ndeny {}\nany {}").unwrap(), [(Some(false), "{}"), (None, "{}")]);
    }

    #[test]
    fn a_request_states_the_length_of_its_body() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        for question in for_server(address, "k").unwrap() {
            let text = String::from_utf8(question.bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        }
    }
}
