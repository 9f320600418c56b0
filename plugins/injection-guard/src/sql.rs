//! SQL injection: what a value would do within a query.
//!
//! A value may stand in a query bare, in single or in double quotes; each reading is judged alone.

mod beginnings;

use crate::scan::{Hit, worse};
use crate::token::{Token, tokens};
use beginnings::{DANGEROUS, JOINING, STATEMENTS, says_something};

const UNION: Hit = Hit::new("sql-union", 95, "a union with another query");
const STACKED: Hit = Hit::new("sql-stacked", 90, "a second statement");
const TAUTOLOGY: Hit = Hit::new("sql-tautology", 85, "a condition that is joined to the query's own");
const CUT: Hit = Hit::new("sql-comment-cut", 80, "a string that ends, and a comment that hides the rest");
const FUNCTION: Hit = Hit::new("sql-function", 85, "a function that attackers call");
const QUERY: Hit = Hit::new("sql-query", 85, "a query within the value");
const BREAK: Hit = Hit::new("sql-string-break", 80, "a string that ends, and an expression behind it");
const CLAUSE: Hit = Hit::new("sql-clause", 80, "a clause that is joined to the query");
const STATEMENT: Hit = Hit::new("sql-statement", 80, "a statement");

/// The worst of all readings.
pub(crate) fn judge(text: &str) -> Option<Hit> {
    if !says_something(text) {
        return None;
    }
    let mut found = reading(text, None);
    for quote in ['\'', '"'] {
        if text.contains(quote) {
            found = worse(found, reading(text, Some(quote)));
        }
    }
    found
}

fn reading(text: &str, quote: Option<char>) -> Option<Hit> {
    let tokens = tokens(text, quote);
    let mut found = None;
    for place in 0..tokens.len() {
        let rest = tokens.get(place..).unwrap_or_default();
        let before = tokens.get(..place).unwrap_or_default();
        found = worse(found, at(before, rest, quote));
        if found.is_some_and(|hit| hit.score >= UNION.score) {
            break;
        }
    }
    let rest = tokens.get(1..).unwrap_or_default();
    match quote {
        None => worse(found, bare_cut(&tokens)),
        Some('\'') => worse(found, after_break(rest)),
        // People put phrases and inches in double quotes; queries hardly do.
        Some(_) => worse(
            found,
            after_break(rest)
                .map(|hit| Hit { score: hit.score / 2, ..hit })
                .filter(|_| ends_in_comment(rest)),
        ),
    }
}

fn ends_in_comment(tokens: &[Token<'_>]) -> bool {
    tokens.last() == Some(&Token::Comment)
}

/// What begins here.
fn at(before: &[Token<'_>], rest: &[Token<'_>], quote: Option<char>) -> Option<Hit> {
    let quoted = quote == Some('\'');
    match rest {
        [Token::Word("union"), more @ ..] => union(more),
        [Token::Semicolon, more @ ..] => stacked(more, !before.is_empty()),
        [Token::Word(word), more @ ..] if is_joining(word) => joined(before, more, quoted, word),
        [Token::Operator("||" | "&&"), Token::Word(_), Token::Operator("="), ..] if !quoted => None,
        [Token::Operator("||" | "&&"), more @ ..] => joined(before, more, quoted, "or"),
        [Token::Word("select"), more @ ..] => select(more),
        [Token::Word(name), Token::Open, more @ ..] if is_dangerous(name) => {
            (!matches!(more, [] | [Token::Word(_), Token::Word(_), ..])).then_some(FUNCTION)
        }
        [Token::Variable(name), ..] if name.starts_with("@@") && name.len() > 3 => Some(FUNCTION),
        [Token::Word(word), more @ ..] => {
            worse(clause(before, word, more, quoted), statement(before, word, more))
        }
        _ => None,
    }
}

fn union(more: &[Token<'_>]) -> Option<Hit> {
    let more = match more {
        [Token::Word("all" | "distinct" | "distinctrow"), more @ ..] => more,
        more => more,
    };
    let more = skip_open(more);
    matches!(more, [Token::Word("select" | "values" | "table"), _, ..] | [Token::Word("select")])
        .then_some(UNION)
}

fn skip_open<'a, 'b>(mut tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    while let [Token::Open, more @ ..] = tokens {
        tokens = more;
    }
    tokens
}

fn stacked(more: &[Token<'_>], something_before: bool) -> Option<Hit> {
    let [Token::Word(word), then, ..] = more else {
        return matches!(more, [Token::Word("shutdown")]).then_some(STACKED);
    };
    if !STATEMENTS.contains(word) || !something_before {
        return None;
    }
    // Prose goes on with a word; a statement with what it is about.
    let goes_on = match *word {
        "if" | "while" | "use" | "set" | "call" | "load" | "begin" | "copy" => {
            matches!(
                then,
                Token::Open
                    | Token::Variable(_)
                    | Token::Number
                    | Token::Text(_)
                    | Token::Word("data" | "declare")
            )
        }
        "drop" | "alter" | "create" | "truncate" | "rename" => matches!(
            then,
            Token::Word(
                "table"
                    | "database"
                    | "user"
                    | "view"
                    | "function"
                    | "procedure"
                    | "index"
                    | "schema"
                    | "role"
            )
        ),
        "update" => matches!(more.get(2), Some(Token::Word("set") | Token::Dot)),
        "replace" => matches!(then, Token::Word("into") | Token::Open),
        "insert" => matches!(then, Token::Word("into")),
        "exec" | "execute" => match then {
            Token::Word(name) => name.contains('_') || matches!(*name, "master" | "immediate"),
            then => matches!(then, Token::Open | Token::Variable(_) | Token::Text(_)),
        },
        "delete" => matches!(then, Token::Word("from")),
        _ => true,
    };
    goes_on.then_some(STACKED)
}

fn is_joining(word: &str) -> bool {
    JOINING.contains(&word)
}

/// `or 1=1`, `and 'a'='a`, `or sleep(1)`: joined to what stands before.
fn joined(before: &[Token<'_>], more: &[Token<'_>], quoted: bool, word: &str) -> Option<Hit> {
    let more = skip_not(more);
    // After a string that the value has ended, any value joins; else it must be a comparison.
    let joins = quoted && !matches!(before.last(), Some(Token::Word(_)))
        || matches!(before.last(), Some(Token::Close | Token::Variable(_)));
    if compares(more, quoted) {
        return Some(TAUTOLOGY);
    }
    let is_value = match more {
        [Token::Number | Token::Text(_) | Token::Variable(_)] => true,
        [Token::Number | Token::Text(_), Token::Comment | Token::Close | Token::Semicolon, ..] => true,
        [Token::Word(name), Token::Open, ..] => {
            is_function(name) || matches!(before.last(), Some(Token::Text(_) | Token::Number | Token::Close))
        }
        [Token::Operator("!" | "~" | "-" | "+"), Token::Number | Token::Text(_), ..] => true,
        [Token::Word("exists"), ..] => true,
        [Token::Word("true" | "false" | "null"), Token::Comment, ..] => true,
        [Token::Word("true" | "false" | "null")] => true,
        [Token::Word(_)] | [Token::Word(_), Token::Comment, ..] => {
            quoted && before.len() == 1 && word != "where"
        }
        _ => false,
    };
    (joins && is_value).then_some(TAUTOLOGY)
}

fn skip_not<'a, 'b>(mut tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    while let [Token::Word("not") | Token::Operator("!") | Token::Open, more @ ..] = tokens {
        if more.is_empty() {
            break;
        }
        tokens = more;
    }
    tokens
}

/// A value, a comparison, and the beginning of another value.
fn compares(tokens: &[Token<'_>], quoted: bool) -> bool {
    let (first, more) = match tokens {
        [Token::Word(_) | Token::Number, Token::Dot, Token::Word(_), more @ ..] => (&Token::Other, more),
        [Token::Operator("-" | "+" | "~"), first @ (Token::Number | Token::Text(_)), more @ ..] => {
            (first, more)
        }
        [first, more @ ..] => (first, more),
        [] => return false,
    };
    let more = match more {
        [Token::Close, more @ ..] => more,
        more => more,
    };
    let is_word = matches!(first, Token::Word(_));
    if !matches!(first, Token::Word(_) | Token::Number | Token::Text(_) | Token::Variable(_) | Token::Other) {
        return false;
    }
    match more {
        [Token::Operator("=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" | "<=>" | "=="), value, ..] => {
            matches!(
                value,
                Token::Number
                    | Token::Text(_)
                    | Token::Variable(_)
                    | Token::Open
                    | Token::Operator("-" | "+" | "~" | "!")
            ) || (matches!(value, Token::Word(_)) && !is_word)
                || matches!(
                    value,
                    Token::Word("null" | "true" | "false" | "char" | "chr" | "ascii" | "select")
                )
                || (matches!(value, Token::Word(_)) && first == value)
        }
        [Token::Operator("=")] => !is_word,
        [Token::Word("like" | "rlike" | "regexp" | "in" | "between"), value, ..] => {
            matches!(value, Token::Text(_) | Token::Open | Token::Number | Token::Variable(_))
        }
        [Token::Word("is"), Token::Word("null" | "not" | "true" | "false"), ..] => true,
        [Token::Word("sounds"), Token::Word("like"), ..] => true,
        [Token::Operator("+" | "-" | "*" | "/" | "%" | "^" | "|" | "&"), Token::Number, ..] => {
            quoted && !is_word
        }
        _ => false,
    }
}

fn select(more: &[Token<'_>]) -> Option<Hit> {
    match more {
        [Token::Operator("*"), Token::Word("from"), ..]
        | [Token::Open, ..]
        | [Token::Variable(_), ..]
        | [Token::Number, Token::Comma | Token::Word("from") | Token::Close, ..]
        | [Token::Text(_), Token::Comma | Token::Word("from") | Token::Close, ..] => return Some(QUERY),
        [Token::Word("top" | "distinct" | "all"), Token::Number | Token::Operator("*") | Token::Open, ..] => {
            return Some(QUERY);
        }
        [Token::Word(name), Token::Open, ..] if is_function(name) || is_dangerous(name) => {
            return Some(QUERY);
        }
        [Token::Word("case"), Token::Word("when"), ..] => return Some(QUERY),
        [Token::Word("if" | "pg_sleep" | "null"), ..] => return Some(QUERY),
        _ => {}
    }
    // Columns, and where they come from.
    let from = more.iter().position(|token| *token == Token::Word("from"))?;
    let columns = more.get(..from)?;
    let words = columns.iter().filter(|token| matches!(token, Token::Word(_))).count();
    let separators =
        columns.iter().filter(|token| matches!(token, Token::Comma | Token::Open | Token::Dot)).count();
    // «select what you like from the menu» has more words than separators.
    (from > 0
        && words <= separators + 1
        && !matches!(
            more.get(from + 1),
            Some(Token::Word("the" | "a" | "an" | "our" | "my" | "your" | "this" | "these" | "those"))
        ))
    .then_some(QUERY)
}

fn clause(before: &[Token<'_>], word: &str, more: &[Token<'_>], quoted: bool) -> Option<Hit> {
    let ends_value = matches!(before.last(), Some(Token::Number | Token::Text(_) | Token::Close))
        || (before.is_empty() && quoted);
    let found = match (word, more) {
        ("order" | "group", [Token::Word("by"), Token::Number | Token::Open | Token::Text(_), ..]) => true,
        ("order" | "group", [Token::Word("by"), Token::Word(_), ..]) => ends_value,
        ("into", [Token::Word("outfile" | "dumpfile"), ..]) => true,
        ("procedure", [Token::Word("analyse"), ..]) => true,
        (
            "limit",
            [
                Token::Number,
                Token::Comma | Token::Comment | Token::Word("offset" | "union" | "into" | "procedure"),
                ..,
            ],
        ) => ends_value,
        ("waitfor", [Token::Word("delay" | "time"), ..]) => true,
        ("case", [Token::Word("when"), ..]) => ends_value,
        ("is", [Token::Word("null"), ..] | [Token::Word("not"), Token::Word("null"), ..]) => ends_value,
        ("like" | "rlike" | "regexp" | "in" | "between", [value, ..]) => {
            ends_value
                && quoted
                && matches!(
                    value,
                    Token::Text('\'') | Token::Open | Token::Number | Token::Word("null" | "binary")
                )
        }
        ("collate", [Token::Word(_)]) => ends_value,
        ("as", [Token::Word(_), Token::Word("from" | "where"), ..]) => ends_value,
        (
            "from",
            [
                Token::Word(
                    "information_schema" | "dual" | "sysobjects" | "pg_catalog" | "all_tables" | "sys"
                    | "mysql" | "sqlite_master",
                ),
                ..,
            ],
        ) => true,
        _ => false,
    };
    found.then_some(CLAUSE)
}

fn statement(before: &[Token<'_>], word: &str, more: &[Token<'_>]) -> Option<Hit> {
    let begins = before.is_empty()
        || matches!(
            before.last(),
            Some(Token::Text(_) | Token::Semicolon | Token::Close | Token::Number | Token::Comment)
        );
    if !begins {
        return None;
    }
    let found = match (word, more) {
        (
            "drop" | "truncate" | "alter" | "create",
            [Token::Word("table" | "database" | "view" | "procedure"), Token::Word(_), rest @ ..],
        ) => !matches!(rest, [Token::Word(_), Token::Word(_), ..]),
        ("insert" | "replace", [Token::Word("into"), rest @ ..]) => {
            rest.iter().take(12).any(|token| matches!(token, Token::Word("values" | "select") | Token::Open))
        }
        ("delete", [Token::Word("from"), Token::Word(_), rest @ ..]) => {
            matches!(rest, [] | [Token::Comment | Token::Semicolon, ..] | [Token::Word("where"), ..])
        }
        ("update", [Token::Word(_), Token::Word("set"), Token::Word(_), Token::Operator("="), ..]) => true,
        ("exec" | "execute", [Token::Word(name), ..]) => {
            name.starts_with("xp_") || name.starts_with("sp_") || matches!(*name, "master" | "immediate")
        }
        ("exec" | "execute", [Token::Open | Token::Variable(_), ..]) => true,
        ("declare", [Token::Variable(_), ..]) => true,
        ("load", [Token::Word("data" | "xml"), Token::Word("infile" | "local"), ..]) => true,
        ("shutdown", [Token::Comment | Token::Word("with"), ..]) => true,
        _ => false,
    };
    found.then_some(STATEMENT)
}

/// What stands behind a string that the value has ended.
fn after_break(rest: &[Token<'_>]) -> Option<Hit> {
    match rest {
        [Token::Comment, ..]
        | [Token::Semicolon, Token::Comment, ..]
        | [Token::Close, Token::Comment, ..] => Some(CUT),
        [Token::Close, Token::Close, Token::Comment, ..] => Some(CUT),
        [
            Token::Operator(
                "=" | "<" | ">" | "<>" | "!=" | "<=" | ">=" | "||" | "&&" | "<=>" | "|" | "^" | "&",
            ),
            value,
            ..,
        ] => matches!(
            value,
            Token::Text(_) | Token::Number | Token::Open | Token::Variable(_) | Token::Operator(_)
        )
        .then_some(BREAK),
        [Token::Operator("+" | "-" | "*" | "/" | "%"), value, ..] => {
            (matches!(value, Token::Number | Token::Open | Token::Variable(_) | Token::Operator(_))
                || (matches!(value, Token::Text('\'')) && rest.len() <= 4)
                || matches!((value, rest.get(2)), (Token::Word(_), Some(Token::Open))))
            .then_some(BREAK)
        }
        [Token::Comma, Token::Open | Token::Number | Token::Variable(_), ..] => Some(BREAK),
        [Token::Comma, Token::Text(_), Token::Comma, ..] => Some(BREAK),
        [Token::Comma, Token::Word(_), Token::Open, ..] => Some(BREAK),
        [Token::Word("div" | "mod" | "xor"), Token::Number | Token::Text('\'') | Token::Open, ..] => {
            Some(BREAK)
        }
        _ => None,
    }
}

/// `1--`, `1)) --`, `1;--`: a bare value, and a comment.
fn bare_cut(tokens: &[Token<'_>]) -> Option<Hit> {
    let [Token::Number, rest @ ..] = tokens else { return None };
    let rest = match rest {
        [Token::Close, Token::Close, rest @ ..] | [Token::Close, rest @ ..] => rest,
        rest => rest,
    };
    match rest {
        [Token::Comment] | [Token::Semicolon, Token::Comment] => Some(Hit { score: 60, ..CUT }),
        _ => None,
    }
}

fn is_dangerous(name: &str) -> bool {
    DANGEROUS.contains(&name)
}

fn is_function(name: &str) -> bool {
    const NAMES: [&str; 36] = [
        "count",
        "char",
        "concat",
        "ascii",
        "ord",
        "mid",
        "substr",
        "substring",
        "length",
        "len",
        "cast",
        "convert",
        "version",
        "user",
        "database",
        "schema",
        "if",
        "ifnull",
        "iif",
        "isnull",
        "nullif",
        "coalesce",
        "md5",
        "sha1",
        "lower",
        "upper",
        "left",
        "right",
        "rand",
        "floor",
        "round",
        "max",
        "min",
        "exists",
        "now",
        "current_database",
    ];
    NAMES.contains(&name) || is_dangerous(name)
}
