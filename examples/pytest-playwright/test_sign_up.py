from pathlib import Path

SHOP = (Path(__file__).parents[1] / "sign-up.html").as_uri()


def test_sign_up_with_a_phone_number(page, rented_number):
    rental = rented_number("02.97", max_price=5000)
    page.goto(SHOP)
    page.get_by_label("Phone number").fill(rental.phone)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_label("Code").fill(rental.wait_for_code(timeout=300))
    page.get_by_role("button", name="Sign up").click()
    assert page.get_by_role("status").inner_text() == f"Welcome, {rental.phone}"
