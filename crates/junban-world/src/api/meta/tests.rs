use super::*;

#[test]
fn percentages_round_up() {
    assert_eq!(IntOrPercent::Percent(10).of(11), 2);
    assert_eq!(IntOrPercent::Percent(50).of(3), 2);
    assert_eq!(IntOrPercent::Percent(100).of(7), 7);
    assert_eq!(IntOrPercent::Percent(0).of(7), 0);
    assert_eq!(IntOrPercent::Int(3).of(7), 3);
}

#[test]
fn selectors_know_the_four_operators() {
    let labels = Map::from([("app".to_owned(), "cart".to_owned())]);
    let with = |e: Expression| Selector {
        match_labels: Map::new(),
        expressions: vec![e],
    };
    let key = || "app".to_owned();
    assert!(Selector::default().matches(&labels));
    assert!(Selector::label("app", "cart").matches(&labels));
    assert!(!Selector::label("app", "shop").matches(&labels));
    assert!(
        with(Expression::In {
            key: key(),
            values: vec!["cart".into()]
        })
        .matches(&labels)
    );
    assert!(
        !with(Expression::NotIn {
            key: key(),
            values: vec!["cart".into()]
        })
        .matches(&labels)
    );
    assert!(
        with(Expression::NotIn {
            key: "x".into(),
            values: vec!["cart".into()]
        })
        .matches(&labels)
    );
    assert!(with(Expression::Exists { key: key() }).matches(&labels));
    assert!(!with(Expression::DoesNotExist { key: key() }).matches(&labels));
}
