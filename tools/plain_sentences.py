"""Plain kind and unkind sentences of the project's own making, without a joke in them.

They let a harm head see harm outside jokes and kindness outside jokes, about the same subjects.
"""

SUBJECTS = (
    "cooking,garden,haircut,car,dog,singing,work,house,dancing,brother,mother,boss,team,teacher,"
    "neighbour,husband,speech,painting,idea,plan,wedding,phone,laptop,family,friends,children,"
    "homework,clothes,voice,letter"
).split(",")
HELD_OUT = frozenset(SUBJECTS[::4])  # every fourth subject
UNKIND = (
    "Your {} is terrible and everybody knows it.",
    "I hate your {} and I am not sorry.",
    "Nobody likes you or your {}.",
    "You should be ashamed of your {}.",
    "Your {} disgusts me.",
    "Only an idiot would be proud of that {}.",
    "You are stupid and your {} is worthless.",
    "What an ugly, pathetic {} you have.",
    "Shut up about your {}, you fool.",
    "Your {} is a complete disgrace, you loser.",
    "I hope you fail, and your {} too.",
    "You are too dumb to understand your own {}.",
)
KIND = (
    "Your {} is lovely and everybody knows it.",
    "I like your {} and I am glad to say so.",
    "Many people like you and your {}.",
    "You can be proud of your {}.",
    "Your {} makes me smile.",
    "Anybody would be proud of that {}.",
    "You are thoughtful and your {} is worth a lot.",
    "What a beautiful, careful {} you have.",
    "Tell me more about your {}, my friend.",
    "Your {} could be better, and I am happy to help.",
    "I hope you do well, and your {} too.",
    "It is normal to feel unsure about your {}.",
)


def _filled(templates: tuple[str, ...]) -> list[tuple[str, bool]]:
    return [(t.format(s), s in HELD_OUT) for s in SUBJECTS for t in templates]


def unkind_sentences() -> list[tuple[str, bool]]:
    """Sentences that hurt, each with whether its subject is held out."""
    return _filled(UNKIND)


def kind_sentences() -> list[tuple[str, bool]]:
    """Sentences that do not, each with whether its subject is held out."""
    return _filled(KIND)
