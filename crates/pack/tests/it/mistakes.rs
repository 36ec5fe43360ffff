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
