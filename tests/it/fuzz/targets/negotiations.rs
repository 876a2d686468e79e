//! What is to be answered, and what was sent: the text is `Accept`, `Content-Type` and `Accept-Encoding` in turn.

use bulward::wire::negotiate::{
    Format, MEDIA_TYPES, PatchType, Shape, accepts_gzip, for_status, names_one_of, pretty, representation,
    request_format,
};

pub(super) fn target(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let asked = &*text;
    let text = Some(asked);
    let mut understood = false;
    for (protobuf, watching, named) in (0..8).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0)) {
        match representation(text, protobuf, watching, named) {
            Ok(found) => {
                understood = true;
                assert!(
                    protobuf || found.format != Format::Protobuf || found.shape != Shape::Object,
                    "{found:?}"
                );
                assert!(!watching || found.format != Format::Yaml, "{found:?}");
                assert!(!(watching || named) || found.shape != Shape::PartialList, "{found:?}");
                assert!(
                    found.format != Format::Protobuf || found.shape != Shape::Table,
                    "{found:?}"
                );
                // What is answered was asked for, in one way or another.
                assert!(
                    asked.is_empty() || asked.contains('*') || asked.contains("application/"),
                    "{found:?}"
                );
            }
            Err(status) => {
                assert_eq!(status.code, 406, "{status:?}");
                assert!(!status.message.is_empty(), "{status:?}");
            }
        }
    }
    assert_eq!(for_status(text).shape, Shape::Object, "an error is no table");
    match request_format(text) {
        Ok(format) => assert!(
            text.is_none_or(str::is_empty)
                || text.is_some_and(|text| text.to_ascii_lowercase().contains(format.media_type()))
        ),
        Err(status) => assert_eq!(status.code, 415),
    }
    match (PatchType::of(text, false), PatchType::of(text, true)) {
        (Ok(strict), Ok(lenient)) => assert_eq!(strict, lenient),
        (Err(status), Ok(lenient)) => assert_eq!((status.code, lenient), (415, PatchType::Strategic)),
        (Err(_), Err(status)) => assert_eq!(status.code, 415),
        (Ok(strict), Err(_)) => panic!("{strict:?} with fewer kinds of patches alone"),
    }
    assert!(!accepts_gzip(text) || text.is_some_and(|text| text.contains("gzip")));
    let _ = (names_one_of(text, &MEDIA_TYPES), pretty(text, text));
    understood
}
