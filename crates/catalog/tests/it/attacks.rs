//! Each surface by which SQL from people has leaked elsewhere, attacked.

use crate::support::{catalog, session, table};

#[tokio::test]
async fn a_street_sees_its_own_people_masked() {
    let catalog = catalog();
    let all = table(&catalog, &session("police"), "SELECT * FROM people.person").await;
    let seen = table(&catalog, &session("street"), "SELECT * FROM people.person").await;
    println!("{all}\n{seen}");
    let seen =
        table(&catalog, &session("university"), "SELECT count(*), sum(income) FROM people.person")
            .await;
    println!("{seen}");
    let seen = table(&catalog, &session("street"), "SHOW TABLES").await;
    println!("{seen}");
    let seen = table(&catalog, &session("street"), "DESCRIBE people.person").await;
    println!("{seen}");
    let seen = table(
        &catalog,
        &session("admin"),
        "EXPLAIN SELECT max(hour) FROM air.pm25 where site = 'site 1'",
    )
    .await;
    println!("{seen}");
}
