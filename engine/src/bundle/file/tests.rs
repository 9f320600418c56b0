//! What was changed anywhere, cut off or lengthened is refused.

use proptest::prelude::*;

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> VerifyingKey {
    key(seed).verifying_key().unwrap()
}

fn files() -> Vec<(String, Bytes)> {
    let file = |path: &str, text: &'static str| (path.to_owned(), Bytes::from_static(text.as_bytes()));
    vec![
        file("packs/a/pack.toml", "name = \"a\"\n"),
        file("packs/a/a.cedar", "permit(principal, action, resource);"),
        file("packs/a/empty.cedar", ""),
    ]
}

fn signed(seeds: &[u8]) -> Vec<u8> {
    let mut bundle = Bundle::build(7, 0, files()).unwrap();
    for seed in seeds {
        bundle.sign(&key(*seed)).unwrap();
    }
    bundle.to_bytes().unwrap()
}

fn trusted(bytes: &[u8], seed: u8) -> Result<Bundle, BundleError> {
    Bundle::read_trusted(Bytes::copy_from_slice(bytes), &[public(seed)])
}

#[test]
fn what_is_built_is_read_back_and_is_the_same_bytes_whatever_the_order() {
    let bundle = trusted(&signed(&[1]), 1).unwrap();
    assert_eq!(bundle.manifest.version, 7);
    let (mut wanted, found): (Vec<_>, Vec<_>) =
        (files(), bundle.files().map(|(path, bytes)| (path.to_owned(), bytes.clone())).collect());
    let mut other = files();
    other.reverse();
    assert_eq!(
        Bundle::build(7, 0, other).unwrap().to_bytes().unwrap(),
        Bundle::build(7, 0, files()).unwrap().to_bytes().unwrap()
    );
    wanted.sort();
    assert_eq!(found, wanted);
    assert_eq!(signed(&[1, 2]), signed(&[2, 1, 1]));
    assert_ne!(bundle.digest, Bundle::build(8, 0, files()).unwrap().digest);
}

#[test]
fn a_byte_that_differs_anywhere_is_refused() {
    let bytes = signed(&[1, 2]);
    assert!(trusted(&bytes, 1).is_ok());
    for at in 0..bytes.len() {
        for mask in [0x01, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            assert!(trusted(&changed, 1).is_err(), "byte {at} with {mask:#x}");
        }
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_refused() {
    let bytes = signed(&[1]);
    for length in 0..bytes.len() {
        let error = trusted(&bytes[..length], 1).unwrap_err();
        let told = matches!(error, BundleError::Truncated | BundleError::Signatures(_));
        assert!(told, "{length}: {error}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(trusted(&longer, 1), Err(BundleError::Trailing(1))));
    assert!(matches!(trusted(b"PK\x03\x04", 1), Err(BundleError::NoBundle)));
}

#[test]
fn who_signed_is_told_from_who_is_trusted() {
    assert!(matches!(trusted(&signed(&[]), 1), Err(BundleError::Unsigned)));
    assert!(matches!(trusted(&signed(&[2]), 1), Err(BundleError::Stranger(_))));
    assert!(trusted(&signed(&[2, 1]), 1).is_ok());
    assert!(Bundle::read_trusted(signed(&[1]).into(), &[]).is_err());
    // A plugin's signature over the same digest is of a plugin.
    let mut bundle = Bundle::build(7, 0, files()).unwrap();
    bundle.signatures.push(key(1).sign_message(&bundle.digest.0).unwrap());
    assert!(matches!(trusted(&bundle.to_bytes().unwrap(), 1), Err(BundleError::Wrong(_))));
    // A wrong signature of somebody is an error beside a right one.
    let mut bundle = Bundle::read(signed(&[1, 2]).into()).unwrap();
    let other = bundle.signatures[0].signature.clone();
    bundle.signatures[1].signature = other;
    assert!(matches!(trusted(&bundle.to_bytes().unwrap(), 1), Err(BundleError::Wrong(_))));
}

#[test]
fn a_signed_lie_about_lengths_and_contents_is_refused() {
    let lie = |change: fn(&mut Entry)| {
        let mut bundle = Bundle::build(7, 0, files()).unwrap();
        change(&mut bundle.manifest.files[0]);
        bundle.digest = digest(&bundle.manifest.to_bytes().unwrap());
        bundle.sign(&key(1)).unwrap();
        trusted(&bundle.to_bytes().unwrap(), 1).unwrap_err()
    };
    assert!(matches!(lie(|entry| entry.length = u64::MAX), BundleError::Truncated));
    assert!(matches!(lie(|entry| entry.length += 1), BundleError::Content(_)));
    assert!(matches!(lie(|entry| entry.digest.0[0] ^= 1), BundleError::Content(_)));
    assert!(matches!(lie(|entry| entry.path = "packs/../x".into()), BundleError::Manifest(_)));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let large = vec![("packs/a/large".to_owned(), Bytes::from(vec![b'x'; MOST_BYTES]))];
    assert!(matches!(Bundle::build(1, 0, large), Err(BundleError::TooLarge(_))));
    let mut bytes = signed(&[1]);
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(trusted(&bytes, 1), Err(BundleError::TooLarge(_))));
    assert!(matches!(trusted(&vec![0; MOST_BYTES + 1], 1), Err(BundleError::TooLarge(_))));
}

proptest! {
    #[test]
    fn whatever_is_spliced_in_is_refused(at in 0_usize..1_000, out in 0_usize..64, new in proptest::collection::vec(any::<u8>(), 0..64)) {
        let bytes = signed(&[1]);
        let at = at.min(bytes.len());
        let end = (at + out).min(bytes.len());
        let changed = [&bytes[..at], &new, &bytes[end..]].concat();
        prop_assert_eq!(trusted(&changed, 1).is_ok(), changed == bytes);
    }

    #[test]
    fn no_bytes_end_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let with_magic = [&MAGIC[..], &bytes].concat();
        prop_assert!(trusted(&bytes, 1).is_err() && trusted(&with_magic, 1).is_err());
    }
}
