"""Names of layers: which are one name, and which are a program's own and no prompts."""

from __future__ import annotations

import re
import unicodedata

OWN_PREFIX = "Tapestry: "
"""Layers that Tapestry made begin with this, so that a copy of one is recognised as well."""

_BACKGROUNDS = (
    "achtergrond|achtergrund|arka plan|arrière-plan|atzeko planoa|background|baggrund|"
    "bakgrund|bakgrunn|cúlra|fonas|fondo|fono|fons|fundo|hintergrund|háttér|ozadje|"
    "plano de fundo|pozadie|pozadina|pozadí|sfondo|taust|tausta|tło|φόντο|аясы|тло|фон|"
    "الخلفيّة|تەگلىك|पार्श्वभूमी|पृष्ठभूमि|พื้นหลัง|ფონი|ផ្ទៃខាងក្រោយ|背景|배경"
)
"""What Krita calls the lowest layer of a new document, in each of its languages."""

_NUMBERED = (
    "agrupar|calque|calque de groupe|camada|capa|coûtche|csoport|ebene|ebeno|geruza|groep|"
    "group|groupe|grup|grupa|grupo|grupp|gruppe|gruppo|gwisk|haen|jaç|katman|kiht|laach|laag|"
    "lag|lager|laiggahat|lapisan|layer|livello|lygmuo|lớp|plast|qatlam|ryhmä|réteg|skupina|"
    "sloj|slānis|sraith|strat|taldea|taso|ulwaleko|vrstva|warstwa|στρώμα|група|группа|слой|"
    "шар|қабаты|שכבה|قەۋەت|لایه|तह|परत|लेयर|समूह|स्तर|ਪਰਤ|அடுக்கு|เลเยอร์|ფენა|ស្រទាប់|"
    "グループ|グループ化|レイヤー|图层|图层组|圖層|群組|그룹|레이어"
)
"""What programs call a layer or a group, with a number behind: alone most of them are words."""

_ALONE = (
    "appunti|calque|camada|capa|clipboard|ebene|gruppe|group|grupo|katman|laag|layer|livello|"
    "portapapeles|presse-papiers|réteg|sans titre|sem título|senza titolo|sichtbar|sin título|"
    "taso|unbenannt|untitled|visibile|visible|visível|vrstva|warstwa|zwischenablage|στρώμα|"
    "без имени|видимое|слой|レイヤー|可见|图层|圖層|新建图层|未命名|無題|레이어"
)
"""What GIMP and others call a layer, without a number; in small letters some of them are words."""

_KINDS = (
    "arkivlager|bektore-geruza|bestandslaag|betegarri geruza|boya katmanı|calque de clonage|"  # noqa: RUF001
    "calque collé|calque de dessin|calque de fichier|calque de remplissage|calque vectoriel|"
    "camada de arquivo|camada de ficheiro|camada de pintura|camada de preenchimento|"
    "camada vectorial|camada vetorial|capa clon|capa clonada|capa d'emplenat|capa de archivo|"
    "capa de ficheiro|capa de fitxer|capa de pintura|capa de relleno|capa pegada|capa vectorial|"
    "clonar a camada|clonar camada|clonar capa|clone layer|dateiebene|dosya katman|"
    "duplicera lager|ebene klonen|eingefügte ebene|failikiht|fil-lag|file layer|fill layer|"
    "filter layer|fitxategi geruza|floating layer|floating selection|"
    "fitxategi-geruza|fyll-lag|fyllager|fájlréteg|group layer|füllebene|"
    "katmanı doldur|klon katman|"  # noqa: RUF001
    "klon-geruza|klonelag|kloniraj plast|klonovat vrstvu|klonovať vrstvu|kloonikiht|"
    "kopiotaso|laag klonen|layer de file|livello clone|livello disegno|livello file|"
    "livello riempimento|livello vettoriale|maalitaso|malebene|margo geruza|maľovať vrstvu|"
    "målarlager|new layer|paint layer|pasted layer|pintar camada|plast datoteke|plast slikanja|"
    "reimple strato|strato de file|teiknelag|tekenlaag|tiedostotaso|täyttötaso|vector layer|"
    "vectorlaag|vektor razina|vektor réteg|vektor sloj|vektorebene|vektorinis sluoksnis|"
    "vektoritaso|vektorkiht|vektorlag|vektorlager|vektorová vrstva|vektorska plast|"
    "vektör katman|vrstva malby|vrstva souborů|vrstva súborov|vullaag|vyplnit vrstvu|"
    "vyplniť vrstvu|warstwa malowania|warstwa pliku|warstwa powielenia|warstwa wektorów|"
    "warstwa wypełnienia|wypełnij warstwę|zapolni plast|διανυσματικό στρώμα|векторен слой|"
    "векторлы қабат|векторний шар|векторный слой|вектролы қабаты|заливаемый слой|"
    "клониран слой|клонирующий слой|обычный слой|слой за рисуване|файловий шар|файловый слой|"
    "шар заповнення|шар клонування|шар малювання|طبقة متجهيّة|طبقة ملفّ|चित्रकारी परत|"
    "प्रतिरूप परत|फ़ाइल परत|भराव परत|वेक्टर परत|व्हेक्टर स्तर|ვექტორული ფენა|სახატავი ფენა|"
    "ფენის კლონირება|ფენის ფაილი|ფენის შევსება|クローンレイヤー|ファイル参照レイヤー|"
    "ベクターレイヤー|ペイントレイヤー|克隆图层|再製圖層|向量圖層|塗りつぶしレイヤー|"
    "填充图层|填充圖層|文件图层|檔案圖層|矢量图层|顏料圖層|颜料图层|벡터 레이어|복제 레이어|"
    "채우기 레이어|칠하기 레이어|파일 레이어|"
    "unknown layer|ebenengruppe|groupe de calques|grupa warstw|grupo de camadas|grupo de capas|"
    "gruppo di livelli|laaggroep|lagergrupp|laggruppe|layer group|группа слоёв|"
    "레이어 그룹|レイヤーグループ"
)
"""What Krita and GIMP call a layer of some kind, mostly with a number behind."""

_COPIES = (
    "(r)en kopia|afrita af|clone of|copia|copia de|copia di|copiar de|copie|copier de|copy|"
    "copy of|còpia de|cópia|cópia de|duplicate of|honen kopia|koopia|kopi af|kopi av|kopia|"
    "kopia av|kopie|kopie van|kopie von|kopija|kopija od|kopio|kopiëren van|kopyası|kópia|"  # noqa: RUF001
    "kópia z|másolata|ögesinin kopyası|копие на|копия|копія|көшірмесі|نسخة عن|نىڭ كۆپەيتىلمىسى|"  # noqa: RUF001
    "की नकल|नकल|ის კოპირება|のコピー|コピー|副本|副本自|拷貝|拷贝|的副本|複製|복사|사본"
)
"""What Krita and others write before or behind the name of a layer that was duplicated."""

_MERGED = (
    "bateratuta|birleştirilmiş|bárgiduvvon|combinadas|flettet|fusionadas|fusionades|fusionate|"
    "fusionnés|merged|mescladas|reunidas|samanslått|samengevoegd|sammanfogade|scalone|sloučeno|"
    "spojeno|stopljene|unito|yhdistetty|zlúčené|zusammengeführt|ühendatud|обединени|об’єднано|"  # noqa: RUF001
    "сведено|مدمج|सम्मिलित|გაერთიანდა|合并|已合併|統合済み|병합됨"
)
"""What Krita writes behind the name of layers that were merged, or calls them by."""

_INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Zs"}
"""Unicode's categories of invisible signs: controls, marks without a width, spaces."""

_BLANK_LETTERS = "\N{HANGUL FILLER}\N{HALFWIDTH HANGUL FILLER}\N{BRAILLE PATTERN BLANK}"
_MOST_AFFIXES = 16


def plain_name(name: str) -> str:
    """A layer's name as it is compared: composed characters (NFC), nothing invisible around.

    The same letter may be one character or two, by the system on which it was typed.
    """
    composed = unicodedata.normalize("NFC", name)
    seen = [place for place, sign in enumerate(composed) if not _is_invisible(sign)]
    return composed[seen[0] : seen[-1] + 1] if seen else ""


def _is_invisible(sign: str) -> bool:
    return unicodedata.category(sign) in _INVISIBLE or sign in _BLANK_LETTERS


def _folded(name: str) -> str:
    signs = (sign for sign in plain_name(name) if unicodedata.category(sign) != "Cf")
    return unicodedata.normalize("NFC", "".join(signs).casefold())


def _any_of(names: str) -> str:
    """A regular expression for any of these names, which "|" separates; the longest one wins."""
    folded = sorted(map(_folded, names.split("|")), key=len, reverse=True)
    return "|".join(map(re.escape, folded))


_BACKGROUND_NAMES = frozenset(map(_folded, _BACKGROUNDS.split("|")))
_NUMBER = r"[ #]*[0-9]+(?:[ #]+[0-9]+){0,3}"
_DEFAULT_NAME = re.compile(
    rf"(?:{_any_of(_NUMBERED)}){_NUMBER}|(?:{_any_of(_KINDS)})(?:{_NUMBER})?"
)
_ALONE_NAMES = frozenset(map(_folded, _ALONE.split("|")))
_NUMBERED_BACKGROUND = re.compile(rf"(?:{_any_of(_BACKGROUNDS)}){_NUMBER}")
_MERGED_NAME = re.compile(rf"(?:{_any_of(_MERGED)})(?:{_NUMBER})?")
_DEFAULT_FORMS = (_DEFAULT_NAME, _MERGED_NAME, _NUMBERED_BACKGROUND)
_AFFIX = rf"(?:{_any_of(_COPIES)}|{_any_of(_MERGED)})"
_BEFORE = re.compile(rf"{_AFFIX}[\s:,()-]{{0,4}}")
_BEHIND = re.compile(rf"[\s:,(\N{{EN DASH}}-]{{0,4}}{_AFFIX}(?:{_NUMBER})?\)?$")


def is_background_name(name: str) -> bool:
    """Whether this is "Background", in any of Krita's languages."""
    return _folded(name) in _BACKGROUND_NAMES


def is_default_name(name: str) -> bool:
    """Whether a program has named the layer so: such a name is no prompt.

    Like "Paint Layer 3", "Copy of Paint Layer 3" and "Paint Layer 3 Merged".
    """
    core, written = _folded(name), plain_name(name)
    for _ in range(_MOST_AFFIXES):
        if any(form.fullmatch(core) for form in _DEFAULT_FORMS):
            return True
        if core in _ALONE_NAMES and core.capitalize() in written:  # a cape is a "capa", not "Capa"
            return True
        found = _BEFORE.match(core) or _BEHIND.search(core)
        if found is None:
            return False
        core = (core[: found.start()] + core[found.end() :]).strip()
        if core in _BACKGROUND_NAMES:
            return True
    return False
