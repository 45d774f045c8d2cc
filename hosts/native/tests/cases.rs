//! Which of the 86 cases of the robustness list have a test: a case is covered by a test whose name begins with
//! `case_NN_`. The table is printed; a case that is open without being listed here, or listed without being
//! open, fails.

use std::collections::BTreeMap;
use std::path::Path;

/// How many cases the list has.
const CASES: usize = 86;
/// Cases without a test of their own, and why.
const OPEN: &[(usize, &str)] = &[];

/// Adds the case tests of all sources under `folder`.
fn search(folder: &Path, found: &mut BTreeMap<usize, Vec<String>>) {
    for entry in std::fs::read_dir(folder).expect("the project's folders are readable").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | "node_modules" | ".git") {
                search(&path, found);
            }
        } else if name.ends_with(".rs") || name.ends_with(".mjs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for (at, _) in text.match_indices("case_") {
                let name: String =
                    text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let digits = name.get(5..7).and_then(|digits| digits.parse().ok());
                if let Some(number) = digits.filter(|n| (1..=CASES).contains(n))
                    && name.as_bytes().get(7) == Some(&b'_')
                    && name.len() > 10
                {
                    found.entry(number).or_default().push(name);
                }
            }
        }
    }
}

#[test]
fn every_case_of_the_robustness_list_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeMap::new();
    for folder in ["core", "hosts", "fuzz"] {
        search(&root.join(folder), &mut found);
    }
    for number in 1..=CASES {
        let open = OPEN.iter().find(|(case, _)| *case == number);
        match (found.get_mut(&number), open) {
            (Some(tests), None) => {
                tests.sort();
                tests.dedup();
                println!("{number:2}  covered  {}", tests.join(", "));
            }
            (None, Some((_, why))) => println!("{number:2}  open     {why}"),
            (Some(tests), Some(_)) => panic!("case {number} is listed as open and has {tests:?}"),
            (None, None) => panic!("case {number} has no test"),
        }
    }
    println!("{} of {CASES} cases covered, {} open", found.len(), OPEN.len());
}
