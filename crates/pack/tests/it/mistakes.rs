//! Every mistake that the checker knows, each as a golden file: what is changed in the small pack
//! under `tests/base`, and what the checker says of it. `BLESS=1` writes what it says now.
//!
//! ```text
//! patch FILE            changes the `<` lines, which must be there once, into the `>` lines
//! create FILE           writes the `>` lines
//! append FILE           adds the `>` lines at the end
//! remove FILE
//! bytes FILE HEX        adds these bytes at the end
//! ----
//! what the checker says
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const RULE: &str = "----\n";

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
fn the_base_has_no_mistake() {
    let pack = pack::load(&tests().join("base")).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(pack.datasets.len(), 3);
}

#[test]
fn each_mistake_is_told() {
    let mut cases: Vec<PathBuf> = fs::read_dir(tests().join("mistakes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 25, "only {} mistakes are shown", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        if let Err(difference) = check(case) {
            write!(wrong, "{}\n{difference}\n", case.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nrun with BLESS=1 to accept");
}

fn check(case: &Path) -> Result<(), String> {
    let text = fs::read_to_string(case).unwrap();
    let (script, expected) = text.split_once(RULE).unwrap_or((&text, ""));
    let dir = tempfile::tempdir().unwrap();
    copy(&tests().join("base"), dir.path());
    apply(script, dir.path());
    let found = match pack::load(dir.path()) {
        Ok(_) => return Err("the checker finds no mistake".to_owned()),
        Err(faults) => format!("{faults}\n"),
    };
    if std::env::var_os("BLESS").is_some() {
        fs::write(case, format!("{script}{RULE}{found}")).unwrap();
        return Ok(());
    }
    match found == expected {
        true => Ok(()),
        false => Err(format!("expected:\n{expected}found:\n{found}")),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn apply(script: &str, dir: &Path) {
    let mut lines = script.lines().filter(|line| !line.starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let mut block = |mark: &str| {
            let mut block = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with(mark)) {
                block.push_str(line[1..].strip_prefix(' ').unwrap_or_default());
                block.push('\n');
            }
            block
        };
        match words[..] {
            ["patch", file] => {
                let (old, new) = (block("<"), block(">"));
                let path = dir.join(file);
                let text = fs::read_to_string(&path).unwrap();
                assert_eq!(text.matches(&old).count(), 1, "in {file}, once:\n{old}");
                fs::write(path, text.replacen(&old, &new, 1)).unwrap();
            }
            ["create", file] => fs::write(dir.join(file), block(">")).unwrap(),
            ["append", file] => {
                let path = dir.join(file);
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text + &block(">")).unwrap();
            }
            ["remove", file] => fs::remove_file(dir.join(file)).unwrap(),
            ["bytes", file, hex] => {
                let path = dir.join(file);
                let mut bytes = fs::read(&path).unwrap();
                bytes.extend(
                    (0..hex.len())
                        .step_by(2)
                        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()),
                );
                fs::write(path, bytes).unwrap();
            }
            _ => panic!("no such instruction: {line}"),
        }
    }
}

/// Rounds of random damage; a round loads the pack once.
const DAMAGE_ROUNDS: u32 = 150;

/// Whatever becomes of a pack's files, the checker answers, and points into them.
#[test]
fn damage_is_told_and_never_panics() {
    let mut files = Vec::new();
    list(&tests().join("base"), &mut files);
    files.sort();
    let mut seed = 0x5eed_u64;
    let mut random = |below: usize| {
        // xorshift64: the same damage on every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below.max(1) as u64).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    for round in 0..DAMAGE_ROUNDS {
        copy(&tests().join("base"), dir.path());
        let file = &files[random(files.len())];
        let path = dir.path().join(file.strip_prefix(tests().join("base")).unwrap());
        let text: Vec<char> = fs::read_to_string(&path).unwrap().chars().collect();
        let at = random(text.len());
        let marks: Vec<char> = "\"'{}[]=,.\n #锦\u{0}-9a(".chars().collect();
        let damaged: String = match random(4) {
            0 => text[..at].iter().collect(),
            1 => text[..at].iter().chain(&text[(at + 1 + random(20)).min(text.len())..]).collect(),
            2 => {
                text[..at].iter().chain(&[marks[random(marks.len())]]).chain(&text[at..]).collect()
            }
            _ => text[..at].iter().chain(&text[random(at)..]).collect(),
        };
        fs::write(&path, &damaged).unwrap();
        let Err(faults) = pack::load(dir.path()) else { continue };
        assert!(!faults.is_empty(), "round {round}");
        for fault in &faults {
            let told = fs::read_to_string(dir.path().join(&*fault.place.file)).unwrap();
            let lines = u32::try_from(told.split('\n').count()).unwrap();
            assert!((1..=lines).contains(&fault.place.line), "round {round}: {fault}");
            assert!(fault.place.column >= 1, "round {round}: {fault}");
        }
    }
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => list(&entry.path(), files),
            false => files.push(entry.path()),
        }
    }
}
