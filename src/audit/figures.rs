//! What was measured of the model and the settings in use, as the page shows it: leaks, and how far attackers get.

use std::fmt::Write as _;

use serde_json::Value;

use super::report::{Language, escape};

/// A row of a table: what it is about, and its figures.
type Row = Vec<String>;

/// The section: `evaluation` is what `floutage evaluate --json` printed, `attack` what `floutage attack --json` printed. What is
/// not there is left out.
pub fn figures(
    html: &mut String,
    evaluation: Option<&Value>,
    attack: Option<&Value>,
    language: Language,
) {
    let say = |english, french| language.say(english, french);
    let _ = write!(
        html,
        "<h2>{}</h2>",
        say("Measured leaks and attacks", "Fuites et attaques mesurées")
    );
    if evaluation.is_none() && attack.is_none() {
        let _ = write!(
            html,
            "<p>{}</p>",
            say(
                "No measurement was given for this page (--evaluation, --attack).",
                "Aucune mesure n’a été fournie pour cette page (--evaluation, --attack).",
            )
        );
    }
    if let Some(evaluation) = evaluation {
        leaks(html, evaluation, language);
    }
    if let Some(attack) = attack {
        faces(html, &attack["faces"], language);
        plates(html, &attack["plates"], language);
        frames(html, &attack["rebuild"]["frames"], language);
        kernels(html, &attack["rebuild"]["kernels"], language);
    }
}

fn leaks(html: &mut String, evaluation: &Value, language: Language) {
    let say = |english, french| language.say(english, french);
    let classes = evaluation["classes"].as_object().into_iter().flatten();
    let rows = classes.flat_map(|(class, rows)| {
        let class = match class.as_str() {
            "face" => say("face", "visage"),
            "plate" => say("plate", "plaque"),
            other => other,
        };
        let row = move |row: &Value| {
            let height = text(&row["height"])
                .replace(" to ", say(" to ", " à "))
                .replace("all", say("all", "toutes"));
            let boxes = language.number(row["boxes"].as_u64().unwrap_or(0));
            let leak = row["leak_rate"].as_f64().unwrap_or(0.0);
            vec![class.to_owned(), height, boxes, format!("{leak:.4}")]
        };
        list(rows).iter().map(row)
    });
    let head = [
        say("Class", "Classe"),
        say("Height in pixels", "Hauteur en pixels"),
        say("Boxes", "Occurrences"),
        say("Share that leaks", "Part non couverte"),
    ];
    table(html, "", &head, rows.collect());
}

fn faces(html: &mut String, faces: &Value, language: Language) {
    let say = |english, french| language.say(english, french);
    let row = |row: &Value| {
        let attacks = list(&row["attacks"]);
        let most = |figure| {
            let figures = attacks.iter().filter_map(|it| it[figure].as_f64());
            figures.fold(0.0, f64::max).into()
        };
        let verdict = verdict(row, language);
        vec![
            style(row, language),
            share(&most("auc")),
            share(&most("rank1")),
            verdict,
        ]
    };
    let head = [
        say("Style", "Style"),
        say(
            "Told apart (AUC; guessing: 0.5)",
            "Distinguer (AUC ; au hasard : 0,5)",
        ),
        say("Named rightly", "Nommer juste"),
        say("As by guessing", "Comme au hasard"),
    ];
    let title = say(
        "Whose face is it? The strongest attacker",
        "À qui est ce visage ? L’attaquant le plus fort",
    );
    table(
        html,
        title,
        &head,
        list(&faces["rows"]).iter().map(row).collect(),
    );
}

fn plates(html: &mut String, plates: &Value, language: Language) {
    let say = |english, french| language.say(english, french);
    let row = |row: &Value| {
        let read = |attacker: &str| share(&row[attacker]["accuracy"]);
        let verdict = verdict(row, language);
        vec![
            style(row, language),
            read("matcher"),
            read("tesseract"),
            verdict,
        ]
    };
    let head = [
        say("Style", "Style"),
        say(
            "Characters read by comparison",
            "Caractères lus par comparaison",
        ),
        say("By Tesseract", "Par Tesseract"),
        say("As by guessing", "Comme au hasard"),
    ];
    let title = say("What does the plate say?", "Que dit la plaque ?");
    table(
        html,
        title,
        &head,
        list(&plates["rows"]).iter().map(row).collect(),
    );
}

fn frames(html: &mut String, frames: &Value, language: Language) {
    let say = |english, french| language.say(english, french);
    let row = |row: &Value| {
        let cells = match row["frozen"].as_bool() {
            Some(true) => say("of the first frame", "de la première image"),
            _ => say("of each frame", "de chaque image"),
        };
        let figures = ["one", "many", "gain"].map(|figure| share(&row[figure]));
        [
            vec![text(&row["style"]), cells.to_owned()],
            figures.to_vec(),
        ]
        .concat()
    };
    let head = [
        say("Style", "Style"),
        say("Colours", "Couleurs"),
        say("Detail from one frame", "Détail tiré d’une image"),
        say("From many", "De plusieurs"),
        say("Gain", "Gain"),
    ];
    let title = say(
        "Do many frames show more than one?",
        "Plusieurs images en montrent-elles plus qu’une ?",
    );
    table(html, title, &head, list(frames).iter().map(row).collect());
}

fn kernels(html: &mut String, kernels: &Value, language: Language) {
    let say = |english, french| language.say(english, french);
    let row = |row: &Value| {
        vec![
            text(&row["style"]),
            share(&row["seen"]),
            share(&row["rebuilt"]),
        ]
    };
    let head = [
        say("Style", "Style"),
        say("Detail as seen", "Détail visible"),
        say("Rebuilt", "Reconstitué"),
    ];
    let title = say(
        "Can it be undone by who knows how it was done?",
        "Qui sait comment c’est fait peut-il le défaire ?",
    );
    table(html, title, &head, list(kernels).iter().map(row).collect());
}

fn table(html: &mut String, title: &str, head: &[&str], rows: Vec<Row>) {
    if rows.is_empty() {
        return;
    }
    if !title.is_empty() {
        let _ = write!(html, "<h3>{title}</h3>");
    }
    html.push_str("<table><tr>");
    for name in head {
        let _ = write!(html, "<th>{name}</th>");
    }
    html.push_str("</tr>");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{}</td>", escape(&cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>\n");
}

fn style(row: &Value, language: Language) -> String {
    let style = text(&row["style"]);
    match row["default"].as_bool() {
        Some(true) => format!("{style} ({})", language.say("default", "par défaut")),
        _ => style,
    }
}

fn verdict(row: &Value, language: Language) -> String {
    match row["at_chance"].as_bool() {
        Some(true) => language.say("yes", "oui"),
        Some(false) => language.say("no", "non"),
        None => "",
    }
    .to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn share(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "–".to_owned(), |share| format!("{share:.3}"))
}
