from django.db import migrations
from django.db.models import F


def explain_readings(apps, schema_editor):
    """Take every token's readings as explained up to the newest; what is open at it becomes one question."""
    Token = apps.get_model("rentals", "Token")
    BalanceQuestion = apps.get_model("rentals", "BalanceQuestion")
    BalanceReading = apps.get_model("rentals", "BalanceReading")
    for token in Token.objects.filter(explained_reading=None):
        readings = BalanceReading.objects.filter(token=token, expected__isnull=False).order_by("-at", "-pk")
        newest = readings.first()
        if newest is None:
            continue
        difference = newest.balance - newest.expected
        if difference:
            other = readings.exclude(balance=F("expected") + difference).first() or readings.last()
            BalanceQuestion.objects.create(
                token=token, reading=newest, since=other.at, until=newest.at, amount=difference
            )
        Token.objects.filter(pk=token.pk).update(explained_reading=newest)


def forget(apps, schema_editor):
    apps.get_model("rentals", "Token").objects.update(explained_reading=None)
    apps.get_model("rentals", "BalanceQuestion").objects.filter(lines=None).delete()


class Migration(migrations.Migration):

    dependencies = [
        ("rentals", "0010_balance_questions"),
    ]

    operations = [
        migrations.RunPython(explain_readings, forget),
    ]
