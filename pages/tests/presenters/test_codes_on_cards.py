"""A card with several messages: the newest code stays, the others are beside it, and an advert does not pass for a code."""

from datetime import timedelta

import pytest
from django.utils import timezone, translation

from accounts.models import User
from accounts.policy import access_for
from pages.presenters.cards import Card, card_for, render_card
from pages.tests.markup import Element, parse
from rentals.models import Message, Rental, Status
from rentals.tests.factories import make_person, make_rental, make_service, make_team

pytestmark = pytest.mark.django_db
START = timezone.now() - timedelta(minutes=30)


@pytest.fixture
def person() -> User:
    return make_person(make_team())


@pytest.fixture
def rental(person: User) -> Rental:
    membership = person.memberships.get()
    service = make_service(name="Zalo")
    return make_rental(
        Status.RECEIVED, team=membership.team, person=person, service=service, phone="+84852222127", received_at=START
    )


def say(rental: Rental, text: str, code: str = "", *, minute: int = 0, **fields: object) -> Message:
    at = START + timedelta(minutes=minute)
    values = {"source": "poll", "fingerprint": f"{text}{minute}", **fields}
    return Message.objects.create(rental=rental, at=at, text=text, code=code, **values)


def card(rental: Rental) -> Card:
    assert rental.person is not None
    return card_for(Rental.objects.for_cards().get(pk=rental.pk), access_for(rental.person))


def drawn(rental: Rental) -> Element:
    viewer = rental.person
    assert viewer is not None
    with translation.override("en"):
        return parse(render_card(Rental.objects.for_cards().get(pk=rental.pk), access_for(viewer)))


def test_a_later_message_without_a_code_leaves_the_code_on_the_card(rental: Rental) -> None:
    say(rental, "Ma OTP 444444", "444444")
    say(rental, "Chao mung ban", minute=1)
    page = drawn(rental)
    assert page.find(data_testid="code").text == "444444"
    assert page.find(data_testid="sms").text == "Ma OTP 444444"
    assert page.find(data_testid="other-sms").text == "Chao mung ban"
    assert page.find(data_testid="message-count").text.strip() == "2 messages"
    assert card(rental).status_label == "code received"


def test_each_code_has_a_button_and_the_newest_is_the_large_one(rental: Rental) -> None:
    say(rental, "Ma OTP 072-464", "072-464")
    say(rental, "Ma OTP 555555", "555555", minute=1)
    page = drawn(rental)
    assert page.find(data_testid="code").text == "555555"
    button = page.find(data_testid="other-code")
    assert (button.text, button["data-copy"]) == ("072-464", "072464")


def test_a_repeat_is_marked_with_its_time_and_has_no_second_button(rental: Rental) -> None:
    say(rental, "Ma OTP 444444", "444444")
    say(rental, "Nhac lai: ma OTP 444444", "444444", minute=7)
    page = drawn(rental)
    local = timezone.localtime(START + timedelta(minutes=7))
    assert local.strftime("%H:%M") in page.find(data_testid="repeated").text
    assert page.find_all(data_testid="other-code") == []


def test_a_message_in_which_no_code_is_recognised_does_not_read_as_a_code(rental: Rental) -> None:
    say(rental, "Uu dai 50%")
    page = drawn(rental)
    assert page.find_all(data_testid="code") == []
    assert (card(rental).status_label, card(rental).icon) == ("no code recognised: read the message", "message")
    assert "data-rings" not in page.find(data_testid="rental")
    say(rental, "", is_call=True, audio_url="https://x.vn/1.wav", minute=1)
    assert "data-rings" in drawn(rental).find(data_testid="rental")


def test_the_former_rentals_code_is_marked_and_gives_way_to_a_new_one(rental: Rental) -> None:
    say(rental, "Ma OTP 444444", "444444", is_earlier=True)
    page = drawn(rental)
    assert page.find(data_testid="code").text == "444444"
    assert "The earlier code" in page.find(data_testid="earlier-code").text
    assert card(rental).rings_at is None
    say(rental, "Ma OTP 555555", "555555", minute=1)
    say(rental, "Ma OTP 444444 ", "444444", minute=2, is_earlier=True)
    page = drawn(rental)
    assert page.find(data_testid="code").text == "555555"
    assert page.find(data_testid="other-code").text == "444444"
    assert page.find_all(data_testid="earlier-code") == []


def test_both_readings_can_be_copied_where_they_differ(rental: Rental) -> None:
    say(rental, "ma GD 1533 ma OTP 572123", "572123", second_code="1533")
    page = drawn(rental)
    assert page.find(data_testid="code").text == "572123"
    assert page.find(data_testid="other-code")["data-copy"] == "1533"
    assert "different codes" in page.text


def test_what_is_copied_is_the_digits_and_the_toast_can_name_the_number(rental: Rental) -> None:
    say(rental, "G-195829 is your code", "G-195829")
    button = drawn(rental).find("button", data_of="Zalo, 0852 222 127")
    assert (button["data-copy"], button["data-of"]) == ("195829", "Zalo, 0852 222 127")
    assert button.find(data_testid="code").text == "G-195829"


def test_nothing_of_the_others_is_shown_where_the_code_is_masked(rental: Rental) -> None:
    say(rental, "ma GD 1533 ma OTP 572123", "572123", second_code="1533")
    say(rental, "Ma OTP 444444", "444444", minute=1)
    say(rental, "Bi mat", minute=2)
    rental.team.shares_codes = False
    rental.team.save()
    colleague = make_person(rental.team)
    with translation.override("en"):
        html = render_card(Rental.objects.for_cards().get(pk=rental.pk), access_for(colleague))
    assert not any(secret in html for secret in ("572123", "1533", "444444", "Bi mat"))
    assert parse(html).find_all(data_testid="other-code") == []


TWO_CODES = "Ma OTP dang ky the: 119020. Ma OTP kich hoat: 884512. Moi ma dung 1 lan"


@pytest.mark.parametrize("given", ["", "119020"])
def test_two_codes_of_one_message_are_buttons_of_equal_size_with_their_words(rental: Rental, given: str) -> None:
    say(rental, TWO_CODES, given)
    page = drawn(rental)
    buttons = page.find_all("button", **{"class": "code is-equal"})
    assert [button["data-copy"] for button in buttons] == ["119020", "884512"]
    assert [words.text for words in page.find_all(**{"class": "code-words"})] == [
        "Ma OTP dang ky the",
        "Ma OTP kich hoat",
    ]
    assert (page.find_all(data_testid="code"), page.find_all(data_testid="other-code")) == ([], [])
    assert (card(rental).status_label, "data-rings" in page.find(data_testid="rental")) == ("code received", True)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Ma OTP: 889012 hoac 774411", ["Ma OTP"]),
        ("OTP chuyen tien: 889012 (NH A) OTP rut tien: 774411 (NH B)", ["OTP chuyen tien", "OTP rut tien"]),
        ("OTP1: 889012 OTP2: 774411", ["OTP1", "OTP2"]),
    ],
)
def test_the_words_of_a_code_do_not_hold_the_code_before_it(rental: Rental, text: str, labels: list[str]) -> None:
    say(rental, text)
    page = drawn(rental)
    assert [button["data-copy"] for button in page.find_all("button", **{"class": "code is-equal"})] == [
        "889012",
        "774411",
    ]
    assert [words.text for words in page.find_all(**{"class": "code-words"})] == labels


def test_an_older_code_gives_way_to_two_new_ones_of_which_none_is_clear(rental: Rental) -> None:
    say(rental, "Ma OTP 444444", "444444")
    say(rental, TWO_CODES, minute=1)
    page = drawn(rental)
    assert [button.text for button in page.find_all(data_testid="equal-code")] == ["119020", "884512"]
    assert page.find(data_testid="sms").text == TWO_CODES
    assert page.find(data_testid="other-code").text == "444444"
    assert page.find_all(data_testid="code") == []


def test_two_codes_of_an_older_message_both_have_a_button(rental: Rental) -> None:
    say(rental, TWO_CODES, "119020")
    say(rental, "Ma OTP 444444", "444444", minute=1)
    page = drawn(rental)
    assert page.find(data_testid="code").text == "444444"
    assert [button.text for button in page.find_all(data_testid="other-code")] == ["119020", "884512"]


def test_two_codes_of_one_message_are_masked_as_one_is(rental: Rental) -> None:
    say(rental, TWO_CODES)
    rental.team.shares_codes = False
    rental.team.save()
    colleague = make_person(rental.team)
    with translation.override("en"):
        html = render_card(Rental.objects.for_cards().get(pk=rental.pk), access_for(colleague))
    assert not any(secret in html for secret in ("119020", "884512"))


def test_the_note_about_an_older_message_has_its_time(rental: Rental) -> None:
    say(rental, "Uu dai 2026", second_code="2026")
    assert parse_note(drawn(rental)) == "ThueSim takes this for the code, the text does not."
    say(rental, "FB-31902 is your code", "FB-31902", minute=5)
    at = timezone.localtime(START).strftime("%H:%M")
    note = parse_note(drawn(rental))
    assert at in note
    assert note.endswith("· ThueSim takes this for the code, the text does not.")


def parse_note(page: Element) -> str:
    return " ".join(page.find_all("p", **{"class": "code-more"})[0].find("span").text.split())


CAUTION = "A newer message came at {at}; it has no clear code."


@pytest.mark.parametrize("newer", ["khong chac 771203/889012", "Mat khau cua ban la 48213397", "Chao mung ban"])
def test_a_newer_message_without_a_clear_code_is_told_beside_the_code(rental: Rental, newer: str) -> None:
    say(rental, "Ma OTP 444444", "444444")
    at = timezone.localtime(say(rental, newer, minute=1).at)
    page = drawn(rental)
    assert page.find(data_testid="code").text == "444444"
    assert "data-void" not in page.find(id=f"code-{rental.pk}").attributes
    sentence = CAUTION.format(at=at.strftime("%H:%M" if at.date() == timezone.localdate() else "%d/%m %H:%M"))
    assert page.find(data_testid="caution").text.strip() == sentence
    assert page.find(data_testid="other-sms").text == newer


@pytest.mark.parametrize("code", ["", "551208"])
@pytest.mark.parametrize(
    "newer", ["Ma OTP 551208 da het han. Vui long yeu cau ma moi", "Giao dich voi OTP 551208 thanh cong"]
)
def test_a_code_that_its_sender_takes_back_is_struck_out(rental: Rental, newer: str, code: str) -> None:
    say(rental, "Ma OTP 551208 de thanh toan", "551208")
    say(rental, newer, code, minute=1)
    page, one = drawn(rental), card(rental)
    assert page.find(data_testid="caution").text.strip() == "ThueSim's sender says that this code no longer holds."
    button = page.find(id=f"code-{rental.pk}")
    assert "is-void" in button.attributes["class"]
    assert "data-void" in button.attributes
    assert newer in (page.find(data_testid="sms").text, page.find(data_testid="other-sms").text)
    with translation.override("vi"):
        assert one.status_label == "mã không còn hiệu lực"
    assert one.rings_at == START  # what takes a code back is no new code


def test_a_code_that_is_given_again_holds(rental: Rental) -> None:
    say(rental, "Ma OTP 551208", "551208")
    say(rental, "Ma OTP 551208 da het han", minute=1)
    say(rental, "Ma OTP moi 551208", "551208", minute=2)
    assert card(rental).caution == ""


def test_a_newer_code_needs_no_caution(rental: Rental) -> None:
    say(rental, "Ma OTP 551208", "551208")
    say(rental, "Ma OTP 551208 da het han", minute=1)
    say(rental, "Ma OTP 662319", "662319", minute=2)
    assert card(rental).caution == ""


def test_a_repeat_of_the_former_rentals_code_needs_no_caution(rental: Rental) -> None:
    say(rental, "Ma OTP 662319", "662319")
    say(rental, "Ma OTP 551208", "551208", minute=1, is_earlier=True)
    assert card(rental).caution == ""


def test_a_code_stays_taken_back_whatever_comes_after(rental: Rental) -> None:
    say(rental, "Ma OTP 551208", "551208")
    say(rental, "Ma OTP 551208 da het han", minute=1)
    say(rental, "Chao mung ban", minute=2)
    assert "no longer holds" in card(rental).caution


def test_a_masked_code_is_not_told_as_taken_back(rental: Rental) -> None:
    say(rental, "Ma OTP 551208", "551208")
    say(rental, "Ma OTP 551208 da het han", minute=1)
    colleague = make_person(rental.team)
    one = card_for(Rental.objects.for_cards().get(pk=rental.pk), access_for(colleague))
    assert one.masked
    assert one.void_sentence == ""
    assert one.caution
