//! What is found in texts, and what only looks like it.

use super::*;

/// Each found part with its kind's name.
fn found(names: &[&str], text: &str) -> Vec<(Kind, String)> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let wanted = Wanted::named(&names).unwrap();
    let folded = Folded::new(text);
    let found = wanted.find(&folded);
    assert!(found.is_empty() || wanted.may_be_in(text), "the first look misses `{text}`");
    found
        .into_iter()
        .map(|found| {
            let (start, end) = folded.bytes(found.start, found.end);
            (found.kind, text.get(start..end).unwrap().to_owned())
        })
        .collect()
}

fn all_found(name: &str, text: &str) -> Vec<String> {
    found(&[name], text).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn mail_addresses_are_found_in_texts() {
    let cases: [(&str, &[&str]); 12] = [
        ("write to ann.lee+x@mail.example.org.", &["ann.lee+x@mail.example.org"]),
        ("<bob@example.org>,carol@example.net;", &["bob@example.org", "carol@example.net"]),
        ("https://x.example/?email=ann%40example.org&x=1", &["ann%40example.org"]),
        ("o'brien@example.org", &["o'brien@example.org"]),
        ("'ann@example.org'", &["ann@example.org"]),
        ("\"a b\"@example.org", &["\"a b\"@example.org"]),
        ("root@[192.0.2.1]", &["root@[192.0.2.1]"]),
        ("用户@例子.公司", &["用户@例子.公司"]),
        ("ann＠example．org", &["ann＠example．org"]),
        ("a\u{200b}nn@exa\u{ad}mple.org", &["a\u{200b}nn@exa\u{ad}mple.org"]),
        ("@mention, a@b, x @ y.org, 3@4.5", &[]),
        ("git@host:path user@localhost", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(all_found("email", text), expected, "{text}");
    }
}

#[test]
fn card_numbers_have_a_network_a_length_and_a_check_digit() {
    for number in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "6304000000000000",
        "4222222222222",
        "６０１１ 1111 1111 1117",
        "4111\u{200b}1111\u{2060}1111\u{ad}1111",
        "٤١١١١١١١١١١١١١١١",
    ] {
        assert_eq!(all_found("card", number), [number]);
        assert_eq!(all_found("card", &format!("card: {number}, 12/27")), [number]);
        assert_eq!(all_found("card", &format!("x{number}x")), [number]);
    }
    for other in [
        "4111111111111112",
        "1700000000000",
        "0000000000000000",
        "9111111111111111",
        "4111_1111_1111_1111",
        "411111111111111111111",
        "d4111111-1111-1111-1abc-4111111111111111",
    ] {
        assert_eq!(all_found("card", other), [""; 0], "{other}");
    }
    assert_eq!(all_found("card", "4111 1111 1111 1111 5555 5555 5555 4444").len(), 2);
    assert_eq!(all_found("card", "2026 4111 1111 1111 1111 737"), ["4111 1111 1111 1111"]);
}

#[test]
fn account_numbers_have_their_countrys_length_and_the_remainder() {
    for number in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "gb82 west 1234 5698 7654 32",
        "NL91ABNA0417164300",
        "FR1420041010050500013M02606",
        "MT84MALT011000012345MTLCAST001S",
        "NO9386011117947",
        "CH93-0076-2011-6238-5295-7",
        "ＤＥ８９370400440532013000",
    ] {
        assert_eq!(all_found("iban", number), [number]);
        assert_eq!(all_found("iban", &format!("IBAN{number} and more")), [number]);
    }
    for other in [
        "DE89370400440532013001",
        "DE8937040044053201300",
        "ZZ89370400440532013000",
        "xDE89370400440532013000",
    ] {
        assert_eq!(all_found("iban", other), [""; 0], "{other}");
    }
}

#[test]
fn telephone_numbers_are_told_from_dates_and_other_numbers() {
    for number in [
        "+4915112345678",
        "+49 (0)30 1234-5678",
        "+1 (555) 234-5678",
        "+44 20 7946 0958",
        "0049 30 12345678",
        "(555) 234-5678",
        "555-234-5678",
        "555.234.5678",
        "1-800-234-5678",
        "030 12345678",
        "020 7946 0958",
        "01 23 45 67 89",
        "06-12345678",
        "612 34 56 78",
        "98765 43210",
        "＋49 151 12345678",
    ] {
        assert_eq!(all_found("phone", number), [number]);
        assert_eq!(all_found("phone", &format!("call {number}, please")), [number]);
    }
    for other in [
        "2026-01-02 10:30",
        "01.02.2026 1030",
        "0.123456789",
        "1234567890",
        "0012345678",
        "order-0301234567x",
        "192.168.100.200",
        "3.14159265358",
        "12 345 678",
        "$1,234,567.89",
    ] {
        assert_eq!(all_found("phone", other), [""; 0], "{other}");
    }
    assert_eq!(all_found("phone", "tel:112233"), ["112233"]);
}

#[test]
fn addresses_of_the_internet_are_found_with_ports_and_brackets() {
    let cases: [(&str, &[&str]); 12] = [
        ("from 192.0.2.7.", &["192.0.2.7"]),
        ("192.0.2.7:8080", &["192.0.2.7"]),
        ("http://192.0.2.7/x", &["192.0.2.7"]),
        ("[2001:db8::1]:443", &["2001:db8::1"]),
        ("fe80::1%eth0", &["fe80::1"]),
        ("::ffff:192.0.2.7", &["::ffff:192.0.2.7"]),
        ("2001:db8:0:1:1:1:1:1 2001:db8::/32", &["2001:db8:0:1:1:1:1:1", "2001:db8::"]),
        ("１９２.0.2.7", &["１９２.0.2.7"]),
        ("at 10:30:45, std::fs::read a::b", &[]),
        ("999.1.1.1 1.2.3 1.2.3.4.5", &[]),
        ("v1.2.3.4 x192.0.2.7", &[]),
        ("aa:bb:cc:dd:ee:ff", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(all_found("ip", text), expected, "{text}");
    }
}

#[test]
fn national_ids_satisfy_their_checks() {
    let cases: [(&str, &[&str], &[&str]); 14] = [
        (
            "us_ssn",
            &["078-05-1120", "219 09 9999"],
            &["078051120", "000-12-3456", "666-12-3456", "900-12-3456"],
        ),
        ("de_tax_id", &["86095742719", "47 036 892 816", "65929970489"], &["86095742718", "11111111111"]),
        ("nl_bsn", &["111222333", "123456782", "1112.22.333"], &["123456789", "000000000"]),
        ("es_dni", &["12345678Z", "12345678-z", "X1234567L", "X-1234567-L"], &["12345678A", "X1234567A"]),
        ("in_aadhaar", &["9999 4105 7058", "999941057058"], &["999941057059", "199941057058"]),
        ("gb_nino", &["AB123456C", "ab 12 34 56 c"], &["QQ123456C", "GB123456A", "AB123456E"]),
        ("fr_nir", &["2 55 08 14 168 025 38", "255081416802538"], &["255081416802539"]),
        ("it_codice_fiscale", &["RSSMRA85T10A562S", "rssmra85t10a562s"], &["RSSMRA85T10A562T"]),
        ("pl_pesel", &["44051401359", "02070803628"], &["44051401358", "44995401359"]),
        ("br_cpf", &["529.982.247-25", "52998224725"], &["529.982.247-26", "111.111.111-11"]),
        ("be_national_number", &["85.07.30-033.28", "85073003328"], &["85.07.30-033.29"]),
        ("se_personnummer", &["811218-9876", "198112189876"], &["811218-9875", "8112189876", "811318-9876"]),
        ("ch_ahv", &["756.9217.0769.85", "7569217076985"], &["756.9217.0769.84", "7559217076985"]),
        ("ca_sin", &["046-454-286", "046 454 286"], &["046454286", "046-454-287"]),
    ];
    for (name, right, wrong) in cases {
        for text in right {
            assert_eq!(all_found(name, text), [*text], "{name}");
            assert_eq!(all_found("national_id", &format!("id {text}.")), [*text], "{name}");
            assert_eq!(all_found(name, &format!("x{text}x")), [""; 0], "{name} {text} in a word");
        }
        for text in wrong {
            assert_eq!(all_found(name, text), [""; 0], "{name} {text}");
        }
    }
    let corsican = |key: u32| all_found("fr_nir", &format!("1 80 03 2A 004 005 {key:02}"));
    assert_eq!((1..=97).filter(|key| !corsican(*key).is_empty()).count(), 1);
}

#[test]
fn what_overlaps_is_one_and_shows_no_more_than_its_stricter_part() {
    let all = KINDS;
    assert_eq!(
        found(&all, "4111111111111111@example.org"),
        [(Kind::Email, "4111111111111111@example.org".to_owned())]
    );
    assert_eq!(found(&all, "DE89370400440532013000").len(), 1);
    let long = found(&all, "+49 151 4111 1111 1111 1111");
    assert_eq!(long.len(), 1);
    assert_eq!(long[0].0, Kind::Mixed);
}

#[test]
fn names_that_are_not_known_are_refused() {
    assert!(Wanted::named(&["e-mail".to_owned()]).is_none());
    assert!(Wanted::named(&["fr_nir".to_owned()]).is_some());
}

#[test]
fn texts_of_every_shape_are_read_to_their_end() {
    let wanted = Wanted::everything();
    for text in [
        "",
        "@",
        "\"@\"",
        "@@@@",
        "+",
        "++((1",
        "%",
        "%4",
        "::::::",
        "....",
        "1.1.1.1.1.1",
        "a@[",
        "DE",
        "DE8",
    ] {
        wanted.find(&Folded::new(text));
    }
    let long = "1 ".repeat(20_000) + &"@".repeat(5_000) + &"1:".repeat(5_000);
    assert!(wanted.find(&Folded::new(&long)).len() < 20_000);
}

#[test]
fn what_only_looks_like_personal_data_stays() {
    for text in [
        "2026-01-02T03:04:05Z",
        "version 1.2.3 of 2026",
        "4111 1111 1111 1112",
        "order 1234567",
        "10:30 to 11:45",
        "price 1,234.56",
        "uuid 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "000-12-3456",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "1700000000000",
        "https://example.org/a/b?page=2&size=50#top",
        "12.345.678,90 EUR",
    ] {
        assert_eq!(found(&KINDS, text), [], "{text}");
    }
}

#[test]
fn all_kinds_are_found_when_all_are_wanted() {
    assert_eq!(Wanted::everything().national.len(), 14);
    assert_eq!(found(&KINDS, "from 192.0.2.60:8080")[0].0, Kind::Address);
    assert_eq!(found(&KINDS, "dni 12345678Z")[0].0, Kind::National("es_dni"));
}
