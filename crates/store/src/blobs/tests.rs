//! Blobs on a real folder.

use std::io::{self, Read};

use super::*;
use crate::testing::Folder;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and what follows";

fn open() -> (Folder, Blobs) {
    let folder = Folder::new("blobs");
    let blobs = Blobs::open(&folder.path().join("blobs")).expect("a new folder opens");
    (folder, blobs)
}

fn incoming_count(blobs: &Blobs) -> usize {
    children(&blobs.incoming()).expect("incoming is there").len()
}

#[tokio::test]
async fn the_same_content_is_kept_once_under_its_hash() {
    let (_folder, blobs) = open();
    let first = blobs.put(Bytes::from_static(PNG)).await.unwrap();
    let again = blobs.put(Bytes::from_static(PNG)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.kind, Kind::Png);
    assert_eq!(first.bytes, PNG.len() as u64);
    assert_eq!(first.id.to_string().parse::<BlobId>().unwrap(), first.id);
    assert_eq!(blobs.list().unwrap(), [first.id]);
    assert_eq!(incoming_count(&blobs), 0);

    let (blob, content) = blobs.get(first.id).await.unwrap();
    assert_eq!((blob, content.as_ref()), (first, PNG));
}

#[test]
fn the_hash_is_sha_256() {
    let (_folder, blobs) = open();
    // `printf '%%PDF-1.7' | sha256sum`
    let blob = blobs.put_from(&b"%PDF-1.7"[..]).unwrap();
    assert_eq!(
        blob.id.to_string(),
        "86edbaa24831badfa0a8b04bb410141e2ee4182b6d0014493fe262a7a331c20b"
    );
}

#[test]
fn every_kind_is_told_by_its_first_bytes() {
    let mp4 = b"\0\0\0\x20ftypisom....";
    let mut docx = b"PK\x03\x04".to_vec();
    docx.resize(30, 0);
    docx.extend_from_slice(b"[Content_Types].xml");
    let mut zip = docx.clone();
    zip[30] = b'x';
    let cases: [(&[u8], Option<Kind>); 12] = [
        (b"\xff\xd8\xff\xe0..JFIF", Some(Kind::Jpeg)),
        (PNG, Some(Kind::Png)),
        (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Kind::Webp)),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"\0\0\0\x18ftypheic....", Some(Kind::Heic)),
        (b"%PDF-1.7\n", Some(Kind::Pdf)),
        (mp4, Some(Kind::Mp4)),
        (b"\0\0\0\x14ftypqt  ....", Some(Kind::QuickTime)),
        (&docx, Some(Kind::OpenXml)),
        (&zip, None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/>", None),
        (b"MZ\x90\0 an executable called photo.jpg", None),
    ];
    for (content, kind) in cases {
        assert_eq!(Kind::sniff(content), kind, "{content:?}");
        // No prefix, however short, may make it panic.
        for len in 0..content.len() {
            Kind::sniff(&content[..len]);
        }
    }
}

#[test]
fn empty_unknown_and_too_large_files_are_refused_and_leave_nothing() {
    let (_folder, blobs) = open();
    assert!(matches!(blobs.put_from(io::empty()), Err(BlobError::Empty)));
    assert!(matches!(blobs.put_from(&b"just text"[..]), Err(BlobError::UnknownKind)));
    let endless = PNG.chain(io::repeat(7));
    match blobs.put_from(endless) {
        Err(BlobError::TooLarge { kind: Kind::Png, bytes_max }) => {
            assert_eq!(bytes_max, Kind::Png.bytes_max());
        }
        other => panic!("expected TooLarge, found {other:?}"),
    }
    assert_eq!(incoming_count(&blobs), 0);
    assert!(blobs.list().unwrap().is_empty());
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(ErrorKind::ConnectionReset, "gone"))
        }
    }
    let (_folder, blobs) = open();
    let content = PNG.chain(io::repeat(7).take(COPY_BUFFER_BYTES as u64)).chain(Broken);
    assert!(matches!(blobs.put_from(content), Err(BlobError::Receive(_))));
    assert_eq!(incoming_count(&blobs), 0);
    assert!(blobs.list().unwrap().is_empty());
}

#[test]
fn a_flipped_bit_is_found_on_read_and_mended_by_the_next_put() {
    let (_folder, blobs) = open();
    let blob = blobs.put_from(PNG).unwrap();
    let path = blobs.path(blob.id);
    let mut content = fs::read(&path).unwrap();
    content[20] ^= 1;
    fs::write(&path, &content).unwrap();

    assert!(matches!(blobs.read(blob.id), Err(BlobError::Damaged { id, .. }) if id == blob.id));
    assert_eq!(blobs.verify().unwrap(), [blob.id]);
    assert_eq!(blobs.put_from(PNG).unwrap(), blob);
    assert_eq!(blobs.read(blob.id).unwrap().1.as_ref(), PNG);
    assert!(blobs.verify().unwrap().is_empty());
}

#[test]
fn ids_from_outside_never_become_paths() {
    for text in ["", "../../etc/passwd", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
        assert!(matches!(text.parse::<BlobId>(), Err(BlobError::BadId(_))), "{text}");
    }
    let absent: BlobId = "0".repeat(64).parse().unwrap();
    let (_folder, blobs) = open();
    assert!(matches!(blobs.read(absent), Err(BlobError::Absent(id)) if id == absent));
}

#[test]
fn what_an_interrupted_program_left_is_swept_and_a_newer_layout_is_refused() {
    let (folder, blobs) = open();
    fs::write(blobs.incoming().join("half"), PNG).unwrap();
    let blob = blobs.put_from(PNG).unwrap();
    let path = folder.path().join("blobs");
    let blobs = Blobs::open(&path).unwrap();
    assert_eq!(incoming_count(&blobs), 0);
    assert!(blobs.contains(blob.id));

    fs::write(path.join("version"), "").unwrap();
    Blobs::open(&path).expect("an empty version file is filled again");
    fs::write(path.join("version"), "2\n").unwrap();
    assert!(matches!(Blobs::open(&path), Err(BlobError::Layout { found, .. }) if found == "2"));
}
