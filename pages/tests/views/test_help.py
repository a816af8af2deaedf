"""The help: guides in both languages, found by a search, for visitors too; and the "?" beside a term."""

import re
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone, translation

from accounts.models import Role, User
from pages.presenters import help as presenter
from pages.presenters.help import GUIDES, TERMS
from pages.tests.markup import Element, html, parse
from rentals.models import Message, Status
from rentals.tests.factories import make_person, make_rental, make_team

pytestmark = pytest.mark.one_database

LANGUAGES = ("en", "vi")

each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture
def operator(db: None) -> User:
    return make_person(make_team("Support"))


def read(client: Client, path: str, language: str = "en") -> Element:
    """The page at `path`, which a browser of this language gets."""
    response = client.get(path, headers={"accept-language": language})
    assert response.status_code == 200
    return parse(html(response))


@each_language
@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_a_page_in_both_languages(client: Client, language: str, name: str) -> None:
    page = read(client, "/help/" if name == "index" else f"/help/{name}/", language)
    article = page.find("article")
    assert article["lang"] == language
    assert len(article.find_all("h1")) == 1
    assert page.find("nav", **{"class": "help-nav"}).find("a", aria_current="page").text == article.find("h1").text


def test_what_is_no_guide_is_not_found(client: Client) -> None:
    assert client.get("/help/nothing/").status_code == 404
    assert client.get("/help/security/").status_code == 404


def test_help_costs_no_query_for_a_visitor_and_few_for_a_person(
    client: Client, operator: User, django_assert_num_queries: Any
) -> None:
    presenter.guides()
    with django_assert_num_queries(0):
        client.get("/help/operator/")
        client.get("/help/?q=masked")
    client.force_login(operator)
    client.get("/help/")
    with django_assert_num_queries(3):  # session, person, membership with its team
        client.get("/help/?q=masked")


def test_a_guide_is_rendered_once(client: Client) -> None:
    assert presenter.guides()["operator"] is presenter.guides()["operator"]


@each_language
def test_links_between_guides_and_pictures_lead_to_addresses_of_the_desk(
    client: Client, operator: User, language: str
) -> None:
    client.force_login(operator)  # the API is for those who are signed in

    @cache
    def page(address: str) -> Element:
        return read(client, address, language)

    for guide in (*GUIDES, "exports"):
        article = page("/help/" if guide == "index" else f"/help/{guide}/").find("article")
        for link in article.find_all("a"):
            address, _, anchor = link["href"].partition("#")
            if address.startswith("http"):
                continue
            target = page(address) if address else article
            assert not anchor or target.find_all(id=anchor), link["href"]
        for picture in article.find_all("img"):
            assert finders.find(picture["src"].removeprefix("/static/")), picture["src"]
            assert picture["alt"]
        for in_another_look in article.find_all("source"):
            assert finders.find(in_another_look["srcset"].removeprefix("/static/")), in_another_look["srcset"]


@pytest.mark.parametrize(
    ("language", "text", "title"),
    [
        ("en", "MASKED", "Masked"),
        ("en", "refund", "Refunded"),
        ("vi", "ma bi che", "Mã bị che"),
        ("vi", "HOÀN TIỀN", "Đã hoàn tiền"),
    ],
)
def test_the_search_minds_neither_accents_nor_capitals_and_finds_the_term_by_its_heading(
    client: Client, language: str, text: str, title: str
) -> None:
    results = read(client, f"/help/?q={quote(text)}", language).find("ol", **{"class": "help-results"})
    [term_link] = [
        link for link in results.find_all("a") if link["href"].startswith("/help/terms/#") and link.text == title
    ][:1]
    assert results.find_all("a").index(term_link) < 8
    assert results.find_all("mark")


def test_accents_count_where_they_are_typed(client: Client) -> None:
    with translation.override("vi"):
        typed, plain = (presenter.search(presenter.question(text)) for text in ("mạng", "mang"))
    assert typed
    assert all("mạng" in f"{one.section.title} {one.excerpt}".lower() for one in typed)
    assert len(plain) >= len(typed)


def test_a_heading_with_the_whole_words_goes_first() -> None:
    with translation.override("vi"):
        first = presenter.search(presenter.question("mã"))[0]
    assert "mã" in first.section.title.lower().split()


def test_the_search_wants_every_word_and_says_when_there_is_none(client: Client) -> None:
    assert read(client, "/help/?q=masked+zebra").find_all("ol", **{"class": "help-results"}) == []
    page = read(client, "/help/?q=zebra")
    assert "Nothing has these words" in page.text
    assert "Places for “zebra”" in page.text


# What newcomers type, and the section that answers it: by itself or by a line of the first questions.
FIRST = ("index", "questions-that-come-first")
QUESTIONS = {
    "en": {
        "how do I rent a number": ("operator", "rent-a-number"),
        "no code arrives": FIRST,
        "what is SV": ("terms", "sv"),
        "can I get my money back": FIRST,
        "cancel a number": ("operator", "when-no-number-is-free"),
        "copy code": ("operator", "read-and-copy-the-code"),
        "why is the code hidden": FIRST,
        "who saw my code": ("operator", "who-saw-a-code"),
        "same number again": ("operator", "use-the-same-number-again"),
        "out of stock": FIRST,
        "change my password": FIRST,
        "change my name": FIRST,
        "language vietnamese": FIRST,
        "dark mode": FIRST,
        "time zone": ("operator", "your-account"),
        "lost phone two factor": FIRST,
        "sign out other computer": FIRST,
        "invite colleague": ("manager", "bring-a-person-in"),
        "keyboard shortcuts": ("operator", "work-by-keyboard"),
        "notification sound": ("operator", "sounds-and-notifications"),
        "export to excel": ("manager", "export-the-history"),
        "budget reached": FIRST,
        "what is recorded about me": FIRST,
        "delete my account": FIRST,
        "tour": ("index", "the-first-ten-minutes"),
        "what does SV mean": ("terms", "sv"),
        "colleague left the company": ("manager", "a-person-leaves"),
        "keybord shortcuts": ("operator", "work-by-keyboard"),
        "what is a token": ("terms", "token"),
        "what does masked mean": ("terms", "masked"),
        "how can I hand a number to a colleague": ("operator", "give-a-number-to-a-colleague"),
        "forgot my password": ("operator", "sign-in"),
        "how much does it cost": FIRST,
        "how long is the number mine": FIRST,
        "no sms": FIRST,
        "voice message": ("operator", "read-and-copy-the-code"),
        "where are the hotkeys": ("operator", "work-by-keyboard"),
        "out of money": FIRST,
        "invit a coleague": FIRST,
        "which network should I choose": ("operator", "choose-a-network-or-a-prefix"),
        "does the desk have backups": ("operations", "back-up"),
        "single sign-on": ("admin", "single-sign-on"),
        "how do I set up SSO": ("admin", "single-sign-on"),
    },
    "vi": {
        "thuê số như thế nào": FIRST,
        "không nhận được mã": FIRST,
        "SV là gì": ("terms", "sv"),
        "hoàn tiền": ("terms", "refunded"),
        "hủy số": ("operator", "when-no-number-is-free"),
        "sao chép mã": ("operator", "read-and-copy-the-code"),
        "sao mã bị ẩn": FIRST,
        "ai đã xem mã": ("operator", "who-saw-a-code"),
        "thuê lại số cũ": FIRST,
        "hết số": ("operator", "when-no-number-is-free"),
        "đổi mật khẩu": ("operator", "your-account"),
        "đổi tên": ("operator", "your-account"),
        "đổi ngôn ngữ": ("operator", "your-account"),
        "giao diện tối": ("operator", "your-account"),
        "múi giờ": ("operator", "your-account"),
        "mất điện thoại xác thực": FIRST,
        "đăng xuất máy khác": FIRST,
        "mời đồng nghiệp": FIRST,
        "phím tắt": ("operator", "work-by-keyboard"),
        "thông báo âm thanh": ("operator", "sounds-and-notifications"),
        "xuất excel": FIRST,
        "hết ngân sách": ("operator", "see-what-is-left"),
        "dữ liệu về tôi": FIRST,
        "xóa tài khoản": FIRST,
        "hướng dẫn nhanh": ("index", "the-first-ten-minutes"),
        "hết tiền thì sao": FIRST,
        "het tien thi sao": FIRST,
        "tin nhắn thoại": ("operator", "read-and-copy-the-code"),
        "không gọi được mã": FIRST,
        "đồng nghiệp nghỉ việc": ("manager", "a-person-leaves"),
        "token nghĩa là gì": ("terms", "token"),
        "đầu số là gì": ("terms", "prefix"),
        "quên mật khẩu": ("operator", "sign-in"),
        "tốn bao nhiêu tiền": FIRST,
        "chờ bao lâu": FIRST,
        "không có tin nhắn": FIRST,
        "đổi tên hiển thị": FIRST,
        "mật khẫu": ("operations", "a-lost-password"),
        "làm sao chuyển số cho đồng nghiệp": ("operator", "give-a-number-to-a-colleague"),
        "bàn phím tắt ở đâu": ("operator", "work-by-keyboard"),
        "nhà mạng nào": ("operator", "choose-a-network-or-a-prefix"),
        "sao lưu thế nào": ("operations", "back-up"),
        "đăng nhập một lần": ("admin", "single-sign-on"),
        "SSO": ("admin", "single-sign-on"),
    },
}


@pytest.mark.parametrize(("language", "question"), [(lang, each) for lang in QUESTIONS for each in QUESTIONS[lang]])
def test_a_newcomer_s_question_is_answered_by_one_of_the_first_three(
    client: Client, language: str, question: str
) -> None:
    guide, section = QUESTIONS[language][question]
    page = read(client, f"/help/?q={quote(question)}", language)
    links = [link["href"] for found in page.find_all("ol", **{"class": "help-results"}) for link in found.find_all("a")]
    assert f"/help/{'' if guide == 'index' else guide + '/'}#{section}" in links[:3]


def test_a_question_of_common_words_shows_what_is_near_to_it_and_says_so(client: Client) -> None:
    page = read(client, "/help/?q=why+is+the+code+hidden+reveal+dots")
    assert "Near to your question" in page.text
    assert "Nothing has these words" not in page.text
    assert page.find_all("mark")
    assert "Near to your question" not in read(client, "/help/?q=code").text  # found often enough
    assert "Near to your question" not in read(client, "/help/?q=why+is+the+zebra+hidden").text


@each_language
def test_a_mistyped_word_is_taken_for_the_likest_one_and_the_page_says_so(client: Client, language: str) -> None:
    question, meant = {"en": ("keybord", "keyboard"), "vi": ("thôg báo", "thông báo")}[language]
    page = read(client, f"/help/?q={quote(question)}", language)
    assert f"“{meant}”" in page.text
    assert page.find_all("ol", **{"class": "help-results"})


def test_a_section_is_not_listed_twice(client: Client) -> None:
    for question in QUESTIONS["en"]:
        page = read(client, f"/help/?q={quote(question)}")
        exact, near = ([*page.find_all("ol", **{"class": "help-results"}), None, None])[:2]
        if near is not None:
            links = [{link["href"] for link in found.find_all("a")} for found in (exact, near) if found]
            assert not links[0] & links[1], question


def test_what_is_searched_for_is_escaped(client: Client) -> None:
    response = client.get("/help/", {"q": "<script>code"})
    assert "<script>code" not in response.content.decode()


@each_language
@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_explained_in_two_sentences_with_the_way_to_its_section(
    client: Client, language: str, name: str
) -> None:
    with translation.override(language):
        term = presenter.term(name)
    assert 1 <= len(re.findall(r"[.!?](?= |$)", term.text)) <= 2, term.text
    assert len(term.text) <= 260
    address, _, anchor = term.address.partition("#")
    assert read(client, address, language).find(id=anchor).text == term.title


def test_every_section_of_the_terms_has_its_place() -> None:
    with translation.override("en"):
        contents = presenter.guides()["terms"].document.contents
    assert tuple(section.id for section in contents) == TERMS


@pytest.mark.parametrize(("name", "address"), [("api", "/api/v1/docs"), ("events", "/api/v1/docs/events")])
def test_a_reference_is_found_by_the_search_and_shown_by_its_own_page(client: Client, name: str, address: str) -> None:
    assert client.get(f"/help/{name}/").headers["Location"] == address
    with translation.override("vi"):
        assert presenter.guides()[name].language == "vi"
        results = presenter.search(presenter.question(presenter.guides()[name].document.contents[0].title))
    assert any(result.address.startswith(f"{address}#") for result in results)


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.MANAGER])
def test_every_person_has_the_help_in_header_and_menu(client: Client, role: Role) -> None:
    client.force_login(make_person(make_team("Support"), role))
    assert len(read(client, "/").find_all("a", href="/help/")) == 2


def test_the_sign_in_leads_to_the_help(client: Client) -> None:
    assert read(client, "/accounts/login/").find("a", href="/help/").text == "Help"


def test_terms_are_explained_beside_their_fields(client: Client, operator: User) -> None:
    client.force_login(operator)
    titles = {summary["aria-label"] for summary in read(client, "/").find_all("summary") if summary.text == "?"}
    assert titles == {f"What is this: {title}" for title in ("Prefix", "Purpose", "Keep trying", "Token")}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/rentals/", ["Prefix", "Refunded", "Token"]),
        ("/services/", ["SV"]),
        ("/spend/", ["Purpose", "Refunded", "Token"]),
    ],
)
def test_terms_are_explained_where_lists_are_read(client: Client, path: str, titles: list[str]) -> None:
    manager = make_person(make_team("Support"), Role.MANAGER)
    team = manager.memberships.get().team
    make_rental(Status.EXPIRED, team=team, person=manager, purpose="QA")
    client.force_login(manager)
    found = {summary["aria-label"] for summary in read(client, path).find_all("summary") if summary.text == "?"}
    assert found == {f"What is this: {title}" for title in titles}


@each_language
def test_dots_are_explained_on_the_card(client: Client, operator: User, language: str) -> None:
    team = operator.memberships.get().team
    for person, code in ((operator, "111111"), (make_person(team), "222222")):
        rental = make_rental(Status.RECEIVED, team=team, person=person)
        Message.objects.create(rental=rental, at=timezone.now(), text=code, code=code, source="poll", fingerprint=code)
    User.objects.update(language=language)
    client.force_login(operator)
    own, masked = sorted(read(client, "/").find_all("article"), key=lambda card: "111111" not in card.text)
    assert own.find_all("details", **{"class": "term-help"}) == []
    [explained] = masked.find_all("details", **{"class": "term-help"})
    with translation.override(language):
        assert presenter.term("masked").text in explained.text


@pytest.mark.django_db
def test_help_is_read_before_two_factor_authentication_is_set_up(client: Client) -> None:
    client.force_login(make_person(make_team("Support", requires_second_step=True)))
    assert client.get("/").status_code == 302
    assert client.get("/help/operator/").status_code == 200
