"""The words and forms that tell a code from other numbers, in Vietnamese, English and Chinese.

Every pattern is for text without accents (`codes.normalised`) and has bounded repetitions: hostile text takes no longer
than any other of its length.
"""

import re
from typing import Final

from ..folding import without_marks


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


def _any_of(phrases: str, *, others: str = "") -> re.Pattern[str]:
    """Return a pattern for any of the phrases, which semicolons divide, as whole words; `others` need not be words."""
    words = "|".join(phrase.strip() for phrase in phrases.split(";"))
    return re.compile(rf"(?<![a-z])(?:{words})(?![a-z])" + (f"|{others}" if others else ""), re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The name of a code in other languages, as the normalised text has it.
_FOREIGN_NAME: Final = "|".join(
    without_marks(name)
    for name in (
        r"인증\ ?(?:번호|코드)|(?:확인|보안)\ ?코드|認証(?:番号|コード)",
        r"確認(?:番号|コード)|セキュリティコード|ワンタイムパスワード",
        r"รหัส\ ?(?:OTP|ยืนยัน(?:ตัวตน)?|การยืนยัน|ความปลอดภัย|เข้าสู่ระบบ)(?:ของคุณ)?",
        r"код\ (?:подтверждения|доступа|авторизации|активации|безопасности|проверки|для\ входа|входа)",
        r"ваш\ код(?!\ (?:под|дос|авт|акт|без|про|для\ вх|вх))",
        r"(?<![a-z])kode\ (?:verifikasi|otp|konfirmasi|keamanan|masuk|aktivasi|anda)(?![a-z])",
        r"(?<![a-z])(?:kod\ pengesahan|kod\ weryfikacyjny|doğrulama\ kodu\w{0,5})(?![a-z])",
        r"(?<![a-z])code\ de\ (?:vérification|validation|sécurité|confirmation|connexion)(?![a-z])",
        r"(?<![a-z])c[óo]digo\ de\ (?:verifica\w{3,4}|seguridad|segurança|acceso|acesso|confirma\w{3,4})(?![a-z])",
        r"(?<![a-z])codice\ (?:di\ (?:verifica|sicurezza|conferma|accesso)|otp)(?![a-z])",
        r"(?<![a-z])(?:bestätigungs|verifizierungs|sicherheits|anmelde|verificatie|verifierings)-?(?:code|kod)(?![a-z])",
    )
)
# Words that name a code and nothing else.
CERTAIN_NAME: Final = compiled(
    rf"""
    (?<![a-z])(?:
        (?:(?:ma|so|day\ so|mat\ khau|mat\ ma|code)\ )?(?:otp|totp)
      | (?:ma|ma\ so|day\ so|mat\ khau|mat\ ma|pin|code)\ (?:so\ |de\ )?
        (?:x[tm]|xac\ ?(?:thuc|minh|dinh)|xac\ ?nhan\ dang\ nhap|chung\ thuc|dang\ nhap\ (?:otp|google|facebook|zalo)
          |(?:su\ dung\ |dung\ )?(?:mot|1)\ lan|giao\ dich\ otp)
      | (?:verif\w{{0,9}}|authentication|one[-\ ]time
          |guard|2fa|two[-\ ](?:factor|step)|otp)
        [-\ ]?(?:[a-z]{{1,12}}\ )?(?:code|pin|passcode|password)
      | steam\ guard | (?:ma\ )?(?:2fa|mfa)(?:\ code|(?=\s?:))|ma\ 2fa | verification\ number | mx[tn]
    )(?![a-z])
    | (?:验证|校验|認證|认证|動態|动态|驗證|檢查|短信|短訊|身份)(?:代)?[码碼号]
    | (?:动态|動態|一次性)密[码碼]
    | {_FOREIGN_NAME}
    """
)
# Words that name a code in most messages, and something else where the message is about a booking, a device, a lesson …
LIKELY_NAME: Final = compiled(
    r"""
    (?<![a-z])(?:
        (?:ma|ma\ so|day\ so|mat\ khau|mat\ ma|pin|code)\ (?:so\ |de\ )?
        (?:xn|xac\ ?nhan|dang\ nhap|bao\ (?:mat|ve)|bi\ mat|kich\ hoat|dang\ ky|an\ toan|pin
          |khoi\ phuc|mo\ khoa|truy\ cap|dat\ lai|tam\ thoi
          |nhan\ (?:hang|buu|do)|lay\ hang|(?:lay\ lai|doi|reset)\ mat\ khau|gac|smart)
      | mat\ ma\ giao\ dich | ma\ dung(?=\ cua\ (?:ban|quy\ khach|qk))
      | (?:activation|security|secure|log-?\ ?in|sign-?\ ?in|auth(?:oriz\w{0,5})?|access|temp(?:orary)?
          |recovery|reset|registration|validation
          |identity|sms|pass|secret|delivery|pickup|device)
        [-\ ]?(?:[a-z]{1,12}\ )?(?:code|pin|passcode|password)
      | ma\ (?:id\ apple|apple\ id) | (?:this|the)\ code\ (?:below\ )?to\ (?:verify|log\ ?in|sign\ in)
      | ma\ [4-8]\ (?:chu\ )?so | [4-8]-digit\ code
      | ma\ (?:sau|nay)\ de\ (?:dang\ nhap|xac\ (?:thuc|minh)) | passcode | mat\ khau\ (?:moi|tam) | (?:code|pin)\ of\ yours
    )(?![a-z])
    | (?:登录|登入|激活|确认|確認|安全|随机|取件)(?:代)?[码碼]
    """
)
# Likely names behind which a purpose may follow up to the link: "ma kich hoat tai khoan Viettel cua ban: 529310".
PURPOSE_NAME: Final = compiled(
    r"xac\ ?nhan|xn|dang\ (?:nhap|ky)|kich\ hoat|log|sign|passcode|khoi\ phuc|dat\ lai|doi\ mat|reset|recovery|pin"
)
# Names of codes that parcels have, which stand beside the numbers of orders.
PARCEL_NAME: Final = compiled(r"nhan\ (?:hang|buu|do)|lay\ hang|delivery|pickup")
# Likely names that doors and parcels have as well: "ma bao mat cua toa nha".
DOOR_NAME: Final = compiled(r"bao\ (?:mat|ve)|an\ toan|mo\ khoa|truy\ cap|access|security|pass(?!code)")
SURE_ANYWHERE: Final = compiled(r"log-?\ ?in|sign-?\ ?in|ma|so|day|mat|激|确|確|安|随|取|提|登")
# Words that may name a code.
WEAK_NAME: Final = compiled(
    r"""(?<![a-z])(?:ma|(?:confirm\w{0,6}\ )?code|pin|verification(?=:))(?![a-z])
    |(?<!\w)(?:код|kode|kod)(?!\w)|代码|代碼|密码|密碼"""
)
# What may stand before a weak name; "class code", "ward code" name something else.
BEFORE_WEAK_NAME: Final = _words(
    """
    ma login your the this that use enter type input with nhap dung su gui la cap va or hoac hay and qua bang thay voi lay
    is new one otp sms zalo ban khach hang nay get following otherwise vui long password account phone number email
    mobile authentication me my tu phai chinh khau
    """
)
# "use 7193 to …", "verify your number with 7193": the number that follows at once is to be entered.
ENTER: Final = compiled(
    r"""(?:(?<![a-z])(?:(?<!dang\ )nhap|(?<!da\ )(?<!noi\ )(?<!su\ )(?<!khong\ )dung|(?<!da\ )su\ dung|use|enter|type
        |(?:verify|confirm|log\ ?in|sign\ ?in|reset|xac\ (?:thuc|minh|nhan)|dang\ nhap)
          \ [a-z\ ]{0,30}(?:with|using|by|bang|voi))
      \ (?:(?:ma|so|code)\ )?|(?:使用|输入|輸入)\ ?)["'(]?$"""
)
# What a message with no more than "ma" or "code" must speak of.
SIGNING_IN: Final = _any_of(
    r"""
    dang nhap; xac (?:thuc|minh|nhan); kich hoat; tai khoan; log(?:ging)? ?in; login; sign(?:ing)? in;
    reset your password; (?:doi|dat lai|lay lai) mat khau; verify (?:your|you|it|this); verification; hieu luc;
    valid; expire\w?; otp; bao mat; security; authenticat\w{2,4}; your (?:phone|number|account|email);
    (?:khong|dung) (?:chia se|cung cap|dua|tiet lo|gui);
    (?:never|do not|don[’']?t) (?:share|give|tell|disclose|forward); (?:or|hoac) (?:enter|use|nhap|dung)
    """,
    others=r"登录|注册|验证|泄露|登入|никому|не (?:сообщ|говор|дава|перед)",
)
# "820415. Nhap ma nay …": speaks of a number in a sentence of its own.
POINTS_BACK: Final = compiled(
    r"(?<![a-z])(?:ma|so)\ (?:nay|tren)(?![a-z])|(?<![a-z])this\ (?:code|pin|number)(?![a-z])"
)
# "559871 de xac nhan …": what the number before is for.
PURPOSE: Final = compiled(
    r"""^[\s"')\]>]{0,3}(?:(?:can\ be\ |duoc\ )?(?:used|dung|su\ dung)\ )?(?:de|to|for|vao)\ (?:[a-z-]{1,12}\ ){0,2}?
    (?:xac\ (?:thuc|nhan|minh)|kich\ hoat|dang\ (?:nhap|ky)|hoan\ tat|tiep\ tuc|khoi\ phuc|mo\ khoa|dat\ lai
        |doi\ mat\ khau
      |verif|confirm|sign|log|activate|continue|complete|reset|recover|authenticat)
    (?!.{0,20}(?:order|(?<!hoa\ )don\ |appointment|attend|lich|tham|vote|booking|subscri|du\ thuong|mua|survey|khao\ sat))
    |^\s(?:для\ (?:вход|авториз|подтв|регистр))
    |^[,，]\s?[您你]正在"""
)
# "883102 — never share": what is said of a code alone.
SECRECY: Final = compiled(
    r"""^[\s"')\]>.,;:!–—-]{0,6}(?:(?:please|vui\ long|tuyet\ doi|xin)\ )?
    (?:(?:never|do\ not|don[’']?t)\ (?:share|give|disclose|forward|tell)|khong\ (?:chia\ se|cung\ cap|tiet\ lo|dua)
      |никому|не\ (?:сообщ|говор|дава)\w{0,6}|(?:请|請)?(?:切)?勿(?:泄露|泄漏|洩漏|转发|告知|告诉))
    (?:(?P<this>\ (?:this|the|your)\ (?:code|otp|pin|password)|\ ma\ (?:nay|otp)|\ it(?![a-z]))
      |(?P<end>\s?(?:$|[.,;!\n。！]|\ (?:with|to|voi|cho|не\ )|[\u4e00-\u9fff])))?"""
)
# "Do not give this code to anyone: 883102"
SECRECY_BEFORE: Final = compiled(
    r"(?<![a-z])(?:khong|dung|never|do\ not|don[’']?t)\ [^.:\n]{0,30}(?:ma\ nay|this\ code)(?![a-z])[^.:\n]{0,40}:\ ?$"
)
# What stands before "ma 529310" where the number is to be entered or comes from the sender.
GIVES: Final = compiled(
    r"""(?<![a-z])(?:nhap|su\ dung|dung|gui\ (?:ban|qk|quy\ khach)|use|enter|type|with|using|by|bang|voi|输入
      |не\ [а-я]{4,14})
    \ (?:the\ |the\ following\ )?$"""
)
# What ties a number to the name after it: "529310 is your code".
LINK: Final = compiled(
    r"""^[\s"')\]>*]{0,4}(?:(?:la|is|as|be|lam|ist|est|es|e|adalah|nghia\ la)(?![a-z])
      |—\s?ваш|[-—]\s(?=ваш)|คอ|是|为|為|作为|作為|は|が)"""
)
LOOSE_LINK: Final = compiled(
    r"""^(?:[\s"')\]>*.]{0,4}(?:(?:for|to|de|cho)(?![a-z])|[-–—(=:,~|/])
      |\s{0,2}["')\]>]{0,2}\s?(?=ma\ (?:xac|otp|kich|cua|bao|dang)|(?:код|kode)\ )
      |(?=[\u4e00-\u9fff])|\s?(?=[\uac00-\ud7a3]))"""
)
# What ties a name to the number after it, at the end of what stands between them: "code is: 529310".
LINK_BEFORE: Final = compiled(
    r"""(?:[:=→➡👉»]|(?<![a-z])(?:la|is|be|as|sau|ist|est(?:\ le)?|es|e|lautet|adalah|ialah)(?![a-z])
      |[是为為]|คอ|は|은|는|[-–—](?=\s))
    [\s"'(\[<*:「『-]{0,4}$"""
)
# What may stand between a name and its number, besides the names of senders.
FILLER: Final = _words(
    """
    id su diem cua ban quy khach qk kh anh chi em minh toi moi hien tai nay sau duoc dang nhap ky giao dich gd thanh
    toan chuyen tien khoan rut mua hang ung dung app web website so dien thoai sdt dt email mail tu thiet bi lan xac
    thuc nhan kich hoat hai chu gom mobile internet banking sms mat khau doi dat lai khoi phuc mo khoa tuyen vu
    nguoi don hoan tat lenh truc the tin den hop dong vay tiep theo xem ket qua ngay buu giu mang quyen tam thoi mot
    otp code pin ma nha nhe ve danh hoi vien smart online bao thay le gui your you yours my a new current one time
    login log sign in password account phone number text message digit digits sent requested transaction transfer
    payment authentication verification security access of totp 2fa generated pc you're 您的 您 的 本次 anda kamu kalian
    del por votre dein deine ihr ihre ของคณ для в на
    """
)
# What may stand between a weak name and its number.
WHOSE: Final = _any_of(
    "cua (?:ban|quy khach|qk|anh/chi|anh chi|anh|chi); moi; hien tai; your; new; of yours; you requested; code; pin; otp",
    others="您的|您|的",
)
# Behind these a name says what it is for, and anything may follow up to the link: "OTP for Binh Minh Ltd is 529310".
FOR_WHAT: Final = _any_of(
    """
    cho; de; cua; tai; vao; tren; khi; voi; theo; for; to; of; on; in; with; для;
    nap; lien ket; thanh toan; giao dich; rut; chuyen; mua; ban; dat; vay; tra (?:gop|cuu); nhan (?:voucher|hang|tien|qua);
    dang (?:ky|nhap); xac (?:thuc|nhan|minh); kich hoat; khoi phuc; quen; doi; thay; them; mo; huy; cap; ky; xem; su dung;
    binh chon
    """
)
# Behind "ma OTP" and the like any purpose may follow up to the link, but not what became of the code.
ANY_PURPOSE: Final = compiled(
    r"""\ (?!(?:da|se|chua|khong|bi|het|con|duoc|that|hien\ co|nay|cu|truoc|loi|sai|so|tong|gui(?!\ tiet)|tu|ve|qua|den|toi
      |sent|was|will|has|expired|from)(?![a-z]))(?:[a-z]{1,12}\ ?){1,7}"""
)
# What may follow a number that no link ties to the name before it; "OTP truck 5050 departs" goes on otherwise.
AFTER_UNTIED: Final = compiled(
    r"""\s{0,3}(?:$|[^\sa-z0-9]
      |(?:la\ (?:ma|otp|mat)|is\ (?:your|the|valid|for|only)|was
        |as|to|for|de|cho|va|and|or|hoac|hay|cua|tai|at|on|from|in|tren|vao|voi|with|by|theo|khi|when|if|neu
        |will|se|valid|expires?|expiring|until|het|hieu|co|trong|within|den|truoc|before|luc|han|hl|hsd
        |xin|vui|please|pls|can|khong|do|don|dont|never|tuyet|chi|only|that
        |ma|otp|gd|ref|this|your|ban|you|quy|requested|gui|nhap|dung|su|duoc|tu|lam|hop|xac|nhe|a|nha
        |thanh\ toan|dang\ (?:nhap|ky)|kich\ hoat|lien\ ket|chuyen|doi|nap|nop|mo|rut|huy|mua|tra|xem|cap|lay|ky
        |phe\ duyet)(?![a-z]))"""
)
# The same for "ma" and "code": "code 441702 cho don tu 99k" is an offer.
AFTER_WEAK: Final = compiled(
    r"""[\s"')\]*]{0,3}(?:$|[.,;!\n(（，。、-]
      |(?:la|is|expires?|valid|within|trong|het|co\ hieu|hieu\ luc|khong|do\ not|don[’']?t|never
        |tai\ (?:man|ung|trang)|hoac|or)
        (?![a-z])
      |(?:de|to|for)\ (?:[a-z-]{1,12}\ ){0,2}?(?:xac|kich|dang\ nhap|hoan\ tat|tiep|khoi|mo\ khoa|dat\ lai|doi\ mat|truy\ cap
        |verif|confirm|sign|log|activ|continue|reset|recover|authent)
      |(?:for|cho)\ uid(?![a-z])|для\ входа)"""
)
# What may follow "529310 is your code".
AFTER_NAME: Final = compiled(
    r"""[\s"')\]*]{0,3}(?:$|[^\sa-z0-9]|cua\ (?:ban|quy|qk|anh|chi|em|minh)(?![a-z])|(?:dung|su\ dung)\ (?:mot|1)\ lan
      |(?:de|to|for|vao)\ (?:[a-z-]{1,12}\ ){0,2}?(?:xac|kich|dang\ nhap|hoan\ tat|tiep|khoi|mo\ khoa|dat\ lai|doi\ mat
        |truy\ cap|verif|confirm|sign|log|activ|continue|reset|recover|authent|withdraw|link)
      |va|and|valid|expires?|will|khong|hieu|het|co)"""
)
ALTERNATIVE: Final = compiled(r"\s?(?:[,/&]|hoac|hay|or|va|and|或|和)\s?(?:(?:ma|code)\s)?")
# What turns a number behind the name into something else: "OTP requests are limited to 5000".
OTHER_SUBJECT: Final = _any_of(
    r"""
    limit\w{0,3}; fee; charge\w?; price; phi; cuoc; han muc; toi da; max\w{0,4}; attempts?; requests?; per; sai;
    wrong; gia; han dung; (?<!dang )nhap; total; tong; count; room; phong; trang; page; dieu; luat; cach; bai;
    chuong; quay; counter; branch; chi nhanh; battery; hang hoa; san pham; vat tu;
    (?:phien|session|yeu cau|challenge|kiem tra)(?=\s?(?:[:#\d]|$)); con lai; thanh cong; accepted; verified;
    approval; serial; seri; s/n; (?:toi|den|ve|qua) (?:may|thiet bi); stay; from(?=\s$)
    """,
    others=r"编号|流水号",
)
# Nouns whose "OTP" is no code: "mon OTP 5050", "he thong OTP".
BEFORE_NO_NAME: Final = re.compile(
    _any_of(
        """
        order; booking; reservation; hotel; stay; trip; appointment; ticket; purchase; parking; gate; door; alarm; gym;
        gift; game; mon; lop; hoc; khoa; truck; train; bus; xe; tau; duong; doi; team; nhom; clb; cau lac bo; du an;
        project; phim; bai; giai; san pham; co phieu; cong ty; he thong; thiet bi; may; phi; cuoc; dau so(?: gui)?;
        tong dai; hotline; gia; kho; goi; log; so du; danh sach; fake; sai; wrong; no; without; loi
        """
    ).pattern
    + r"\s$|(?<![a-z])mon:\s$",
    re.IGNORECASE,
)
# What makes a number behind which it stands useless: a code that has expired, a payment's approval.
SPENT: Final = compiled(
    r"""^[\s"')\]]{0,3}(?:(?:has|is|was|da|bi|khong|chua)\ (?:been\ |duoc\ |bi\ )?)?
    (?:expired|invalid|incorrect|wrong|approved|declined|sai|(?<=da\ )het|(?<=da\ )su\ dung|(?<=da\ duoc\ )su\ dung
      |(?<=been\ )used|already\ used|(?<=khong\ )(?:dung|hop\ le|chinh\ xac|con))(?![a-z])
    |^\s?(?:已(?:失效|过期|使用)|错误|无效|過期|無效)"""
)
# "Vi du ma OTP hop le: 123456": how a code looks.
EXAMPLE: Final = compiled(
    r"(?<![a-z])(?:vi\ du|vd|chang\ han|for\ example|example|e\.g\.|sample|ma\ mau)(?![a-z])[^.;\n]{0,40}$"
)
# Who sends codes. Behind or before "ma" and "code" alone the sender must be known: "Ma BIN 970436" is no code.
SENDERS: Final = _words(
    """
    chase citi amex okta duo venmo zelle zalo facebook messenger google gmail telegram tiktok shopee lazada tiki
    sendo grab momo whatsapp instagram viber wechat discord steam twitter binance paypal microsoft apple amazon
    netflix tinder uber gojek vneid vnpay zalopay garena skype outlook imessage snapchat linkedin yahoo kakaotalk
    kakao bumble okx bybit bitget openai chatgpt claude github traveloka agoda airbnb lyft careem indrive yandex vk
    icq temu shein aliexpress taobao alipay weibo qq vietcombank techcombank vpbank mbbank bidv agribank acb tpbank
    sacombank vib hdbank msb ocb shb vcb tcb viettel vinaphone mobifone vnpt vieon mocha kredivo ahamove lalamove
    gofood gocar spotify riot nintendo xbox twitch roblox blizzard ubisoft hoyoverse vng zing mail.ru tencent douyin
    chotot batdongsan onehousing vinid coupang maxim mexc kucoin htx gate.io hinge coursera upwork fiverr payoneer
    docusign dropbox sony playstation naver tokopedia lotte jollibee notion figma ebay etsy walmart deepseek gemini
    quora reddit pinterest tumblr badoo okcupid blued line.me kraken crypto.com bingx bitmart huobi remitano kfc
    pizza truecaller bigo likee kwai xanhsm zoom slack adobe fpt canva grindr imo wise meta
    """
)
# Senders that are words as well: no more than fillers.
SENDER_WORDS: Final = _words("be ok x line gate cake ea signal threads bolt dana epic ovo timo mb")
# What a message is about where a likely name and a weak one mean something else.
OTHER_TOPIC: Final = _any_of(
    r"""
    check-? ?(?:in|out); booking(?!\.com); reserv\w{2,7}; hotel; resort; homestay; guests?; khach san;
    (?:nhan|tra|dat) phong; dat (?:cho|ban|ve); bed; nights?; dem nghi; chuyen bay; flights?; depart\w{0,4};
    boarding; gate; seat; itinerary; khoi hanh; ga tau; rap; suat chieu; your ticket; e-?ticket; appointment;
    lich (?:hen|kham|thi|hoc); kham; mah; wh; sac; dung luong; battery; laptop; may in; printer; cr2032; dong ho;
    du phong; bao hanh; warranty; serial; bug; commit; merged?; java; python; size; inbox; ib; (?<![0-9])[0-9]{1,4}k;
    con hang; ve kho;
    hang ve; het hang; sku; pallet; mau (?:den|trang|do|xanh|be); mua (?:pin|hang ngay); mon;
    (?<!2 )(?<!hai )lop; hoc phan; khai giang; khoa hoc; class(?:room)?; course; exam; semester; students?;
    sinh vien; hoc sinh; quiz; kahoot; meeting; webinar; parking; parked; gui xe; bai xe; bien so; plate; ve so;
    xo so; lottery; jackpot; karaoke; invoice; theat(?:re|er); cinema; tickets; box office; concert; museum;
    restaurant; table; breakfast; dinner; venue; entrance; stay; phim; su kien; event; hoi thao; workshop;
    giai chay; marathon; bib; tour; spa; salon; tham quan; conference; tham du; attend\w{0,3}; khach moi; tiec;
    party; survey; khao sat; bao danh;
    (?:thanh toan|giao dich|mua|nap tien|chuyen (?:tien|khoan)|dat [a-z]{2,6}|dat) (?:[a-z]{2,6} )?thanh cong;
    successful(?:ly)?; completed; confirmed; paid;
    thank you for (?:your )?(?:order|purchase|payment|booking|shopping); hsd;
    (?:het han|den|truoc|until|before|by) (?:ngay )?[0-9]{1,2}/[0-9]{1,2}; (?:nhap )?sai (?:otp|ma|mat); bi khoa;
    khong hop le; invalid; incorrect; that bai; khong thanh cong; failed; failure; error; ma loi;
    loi (?:xac|he|dang|otp|\d); timeout; denied; se giao; giao trong; toa nha; phong \d; cua phong; ward;
    district; zip; pdf; (?:mo|open) file; postal; province; huyen; door; alarm; cong toa;
    gym; locker room; wi-?fi; benh nhan; xet nghiem
    """,
)
# A message about how many codes were sent has none.
COUNTS: Final = _any_of(
    r"""
    report; bao cao; thong ke; statistics; delivered; delivery rate; failed:; success rate; ty le; doanh thu;
    con lai trong; quota; san luong; (?:tong|total) (?:so )?(?:otp|sms|tin)
    """,
    others=r"套餐|剩余[0-9]+条",
)
# A warning of swindlers speaks of codes: what is not tied by a link is none.
WARNING: Final = _any_of(
    r"""
    gia mao; canh (?:bao|giac); lua dao; scams?; fake; beware; phishing; fraud
    """,
    others=r"诈骗|谨防",
)
OFFER: Final = _any_of(
    r"""
    giam (?:gia|den|toi|ngay|them|\d); uu dai; khuyen mai; voucher; coupon; sale; discount; promo\w{0,8};
    hoan tien; duoc tang; tang (?:ban|quy|ngay|ly|kem|them|\d); khi (?:dat|mua); qua tang; trung thuong;
    du thuong; (?<!xac )nhan (?:ngay|\d|qua|thuong|li xi); freeship; (?:next|first) (?:ride|order|trip|purchase);
    k off; don dau; lan dau; checkout; referral; refer; invite; gioi thieu; both get; earn; cashback; bonus;
    my code; and get; moi ban; refer a; sign up with; deal; mien phi; li xi; gift; rewards?; free [a-z]{3,9};
    save (?:\d|[$%]|up|big|more|now); get \d{1,4} ?[k$%]
    """,
    others=r"% ?off|优惠|折扣|邀请",
)
SENTENCE_END: Final = re.compile(r"[.!?](?=\s|$)|[\n;。！？]")

# "DV KHAC: (ma cua ban 771882)"
CAPITALS_AND_COLON: Final = re.compile(r"\W?[A-Z][A-Z0-9.&-]{1,14}(?:\s[A-Z0-9.&-]{1,14}){0,2}\s?:\s?$")

# The last line for browsers that fill a code in by themselves (WebOTP): "@shop.example #123456".
AUTOFILL: Final = re.compile(
    r"(?P<own_line>^)?(?<![\w])[^\s@#]{0,40}@[a-z][a-z0-9.-]{3,80} \#(?P<code>[a-z0-9]{4,8})"
    r"(?: %[a-z0-9.-]{3,80})?\s{0,5}\Z",
    re.IGNORECASE | re.MULTILINE,
)
