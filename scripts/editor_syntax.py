"""Highlighting of .bn files for editors, made from the language's own lists: keywords and grammar of docs/language.md, ops by section of the ops reference.

generate_docs.py writes what files() returns.
"""
import json
import re

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
TYPES = ["f32", "i32"]
CONSTANTS = ["true", "false", "inf", "nan"]
OPERATORS = ["and", "or", "not"]
DECLARATIONS = ["block", "network", "train"]


def keywords(language):
    """The words that cannot name anything."""
    line, = re.findall(r"^Keywords, which cannot name anything: (.*)\.$", language, re.M)
    return re.findall(r"`(\w+)`", line)


def contextual(language):
    """The grammar's other words, which are words of the language at their place alone."""
    grammar, = re.findall(r"^## Grammar\n.*?```\n(.*?)```", language, re.M | re.S)
    return sorted({word for word in re.findall(r'"(\w+)"', grammar)} - set(keywords(language)) - set(DECLARATIONS))


def statements(language):
    """The contextual words that begin a statement."""
    return [word for word in contextual(language) if word != "layout"]


def ops(reference):
    """Section -> names of its ops."""
    found = {}
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", reference, re.M | re.S):
        found[title.lower().replace(" ", "-")] = re.findall(r"^### `(\w+)`$", body, re.M)
    return found


def any_of(words):
    return r"\b(?:" + "|".join(words) + r")\b"


def vim_any_of(words):
    return r"\<\%(" + r"\|".join(words) + r"\)\>"


def textmate(reference, language):
    control = [word for word in keywords(language) if word not in CONSTANTS + OPERATORS]
    patterns = [
        ("comment.line.number-sign.bn", r"#.*$"),
        (None, rf"^\s*({'|'.join(DECLARATIONS)})\s+({NAME})", ["keyword.declaration.bn", "entity.name.type.bn"]),
        (None, rf"^\s*({'|'.join(statements(language))})\s+(?=[A-Za-z_])", ["keyword.other.bn"]),
        ("keyword.control.bn", any_of(control)),
        ("keyword.operator.word.bn", any_of(OPERATORS)),
        ("constant.language.bn", any_of(CONSTANTS)),
        ("storage.type.bn", any_of(TYPES)),
    ]
    patterns += [(f"support.function.{section}.bn", any_of(names) + r"(?=\s*\()") for section, names in ops(reference).items()]
    patterns += [
        ("entity.name.function.bn", rf"\b{NAME}(?=\s*\()"),
        ("variable.parameter.bn", rf"\b{NAME}(?=\s*=(?!=))"),
        ("constant.numeric.bn", r"\b\d+(?:\.(?!\.)\d*)?(?:[eE][+-]?\d+)?"),
        ("variable.other.bn", rf"\b{NAME}"),
        ("keyword.operator.bn", r"\.\.|==|!=|<=|>=|[-+*/%<>=]"),
    ]
    rules = []
    for scope, pattern, *groups in patterns:
        rule = {"name": scope} if scope else {}
        rule["match"] = pattern
        if groups:
            rule["captures"] = {str(number): {"name": name} for number, name in enumerate(groups[0], 1)}
        rules.append(rule)
    grammar = {"name": "bn", "scopeName": "source.bn", "fileTypes": ["bn"], "patterns": rules}
    return json.dumps(grammar, indent=2) + "\n"


def vim(reference, language):
    control = [word for word in keywords(language) if word not in CONSTANTS + OPERATORS]
    lines = ['" Highlighting of .bn files; written by scripts/generate_docs.py.', "if exists('b:current_syntax')", "  finish", "endif", "",
             f"syntax keyword bnControl {' '.join(control)}",
             f"syntax keyword bnOperator {' '.join(OPERATORS)}",
             f"syntax keyword bnConstant {' '.join(CONSTANTS)}",
             f"syntax keyword bnType {' '.join(TYPES)}",
             rf"syntax match bnDeclaration /^\s*\zs{vim_any_of(DECLARATIONS)}\ze\s\+\h/",
             rf"syntax match bnStatement /^\s*\zs{vim_any_of(statements(language))}\ze\s\+\h/",
             r"syntax match bnCall /\<\h\w*\ze\s*(/",
             r"syntax match bnArgument /\<\h\w*\ze\s*==\@!/",
             r"syntax match bnNumber /\<\d\+\%(\.\.\@!\d*\)\?\%([eE][+-]\?\d\+\)\?/"]
    links = {"Control": "Conditional", "Operator": "Operator", "Constant": "Constant", "Type": "Type", "Declaration": "Structure", "Statement": "Statement",
             "Call": "Identifier", "Argument": "Label", "Number": "Number", "Comment": "Comment", "Op": "Function"}
    for section, names in ops(reference).items():
        group = "bnOp" + section.title().replace("-", "")
        lines.append(rf"syntax match {group} /{vim_any_of(names)}\ze\s*(/")
        lines.append(f"highlight default link {group} bnOp")
    lines += [r"syntax match bnComment /#.*$/ contains=@Spell", ""]
    lines += [f"highlight default link bn{group} {target}" for group, target in links.items()]
    lines += ["", "let b:current_syntax = 'bn'"]
    return "\n".join(lines) + "\n"


def files(reference, language):
    """Path from the root -> text."""
    return {"tools/editors/vscode/syntaxes/bn.tmLanguage.json": textmate(reference, language),
            "tools/editors/vim/syntax/bn.vim": vim(reference, language)}
