//! What lets plain values through at once: most of all that comes.

/// Whether no family can have anything to say: letters, digits and what stands in names, addresses and dates, without a word of SQL.
pub(crate) fn is_plain(value: &str) -> bool {
    let mut spaces = false;
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'_'
            | b'-'
            | b'.'
            | b','
            | b':'
            | b'@'
            | b'/'
            | b'?' => {}
            b' ' => spaces = true,
            _ => return false,
        }
    }
    !(value.contains("--") || value.contains("..") || (spaces && has_word(value)) || is_odd_path(value))
}

/// Places that no value names by chance.
fn is_odd_path(value: &str) -> bool {
    value.contains('/') && {
        let lower = value.to_ascii_lowercase();
        ["/etc/", "/proc/", "/bin/", "/.", "://", "/windows"].iter().any(|place| lower.contains(place))
            || lower.starts_with('.')
    }
}

/// Words that begin what SQL does without any sign.
fn has_word(value: &str) -> bool {
    const WORDS: [&str; 16] = [
        "or",
        "and",
        "union",
        "select",
        "having",
        "exec",
        "execute",
        "waitfor",
        "order",
        "group",
        "like",
        "between",
        "limit",
        "rlike",
        "procedure",
        "shutdown",
    ];
    value.split([' ', ',', '/']).any(|word| {
        (2..=9).contains(&word.len()) && WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
    })
}

/// On canonical text.
pub(crate) fn may_be_sql(text: &str) -> bool {
    text.bytes().any(|byte| {
        matches!(byte, b'\'' | b'"' | b'`' | b';' | b'(' | b'=' | b'#' | b'*' | b'@' | b'|' | b'<' | b'>')
    }) || text.contains("--")
        || text.contains("&&")
        || has_word(text)
}

pub(crate) fn may_be_markup(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'<' | b'=' | b'>' | b'`' | b'('))
        || text.contains("script:")
        || text.contains("data:")
}

pub(crate) fn may_be_command(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b';' | b'|' | b'&' | b'`' | b'$' | b'\n' | b'>' | b'(' | b'{'))
        || text.contains("/bin/")
        || text.contains("/etc/")
}

pub(crate) fn may_be_path(text: &str) -> bool {
    text.contains("..")
        || text.contains('\0')
        || text.contains("://")
        || text.contains('\\')
        || text.contains("/etc/")
        || text.contains("/proc/")
        || text.contains("/.")
        || text.starts_with('.')
}
