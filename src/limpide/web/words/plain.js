// Sentences that the server sends in English, in the page's language: what licences ask for, and why a model is slow.

import { locale } from "../words.js";

/** {} stands for whatever stands there, such as a version: it is carried over. */
const FRENCH = [
  ["pass the licence text and the notices on with the weights", "transmettez le texte de la licence et les mentions avec les poids"],
  ["say what you changed", "dites ce que vous avez modifié"],
  ["pass the licence text and the copyright notice on with the weights", "transmettez le texte de la licence et la mention de droit d’auteur avec les poids"],
  ["its publisher asks (and does not demand) to say clearly what was written by GPT-2", "qui le publie demande (sans l’exiger) de dire clairement ce que GPT-2 a écrit"],
  ["do not use the model for what {} forbids, nor let others", "n’utilisez pas le modèle pour ce qu’interdit la {}, et ne laissez personne le faire"],
  ["do not use the model for what {} forbids", "n’utilisez pas le modèle pour ce qu’interdit la {}"],
  ["whoever gets the model or a model made from it, also as a service of yours, must be bound to the same restrictions, be told so and get a copy of the terms; models that learned from its answers count as made from it", "qui reçoit de vous le modèle ou un modèle qui en est tiré, aussi comme service, doit être tenu aux mêmes restrictions, en être averti et recevoir une copie des conditions ; un modèle qui a appris de ses réponses compte comme tiré de lui"],
  ["when you pass it on, add a file “Notice” that says “{}”, and mark the files that you changed", "en le transmettant, joignez un fichier « Notice » qui dit « {} », et marquez les fichiers que vous avez modifiés"],
  ["{} may restrict use that breaks the terms, also from afar", "{} peut restreindre un usage contraire aux conditions, même à distance"],
  ["if the products and services of your company and its group had, in the month before the model was released, more than {} million users a month, ask the publisher for a licence of your own first", "si les produits et services de votre entreprise et de son groupe avaient, le mois avant la sortie du modèle, plus de {} millions d’utilisateurs par mois, demandez d’abord votre propre licence à qui le publie"],
  ["if the products and services of your company and its group have more than {} million users a month, ask the publisher for a licence of your own first", "si les produits et services de votre entreprise et de son groupe ont plus de {} millions d’utilisateurs par mois, demandez d’abord votre propre licence à qui le publie"],
  ["if you pass the model on, or offer a product or service that contains it, show the words “{}” where people see them: on its page, in its interface or its documentation", "si vous transmettez le modèle, ou proposez un produit ou service qui le contient, affichez les mots « {} » là où on les voit : sur sa page, dans son interface ou sa documentation"],
  ["if you train or improve a model with it or with its answers and pass that model on, let its name begin with “{}”", "si vous entraînez ou améliorez un modèle avec lui ou ses réponses et transmettez ce modèle, que son nom commence par « {} »"],
  ["if you train or improve a model with it or with its answers and pass that model on, show “{}” or “{}” in its documentation", "si vous entraînez ou améliorez un modèle avec lui ou ses réponses et transmettez ce modèle, affichez « {} » ou « {} » dans sa documentation"],
  ["pass the agreement on with the weights, and a file “Notice” that says “{}”, and mark the files that you changed", "transmettez l’accord avec les poids, avec un fichier « Notice » qui dit « {} », et marquez les fichiers que vous avez modifiés"],
  ["pass the agreement on with the weights, and a file “Notice” that says “{}”", "transmettez l’accord avec les poids, avec un fichier « Notice » qui dit « {} »"],
  ["the licence ends if you sue anybody because the model or its results infringe rights of yours; what others claim from {} because of your use, you bear", "la licence prend fin si vous attaquez quiconque en justice parce que le modèle ou ses résultats enfreindraient vos droits ; ce que d’autres réclament à {} à cause de votre usage est à votre charge"],
  ["the licence ends if you sue because the model or its results infringe rights of yours", "la licence prend fin si vous allez en justice parce que le modèle ou ses résultats enfreindraient vos droits"],
  ["who lives in the European Union, or has a company with its main seat there, gets no rights in the multimodal models; to use products that contain one is allowed", "qui vit dans l’Union européenne, ou y a le siège principal de son entreprise, ne reçoit aucun droit sur les modèles multimodaux ; utiliser des produits qui en contiennent un est permis"],
  ["do not use the model to earn money: not in products, in services or at work", "n’utilisez pas le modèle pour gagner de l’argent : ni dans des produits, ni dans des services, ni au travail"],
  ["use it for research or evaluation only; for anything commercial ask {} for another licence", "ne l’utilisez que pour la recherche ou l’évaluation ; pour tout usage commercial, demandez une autre licence à {}"],
  ["use it, what you make from it and its answers for research only, personal, scientific or academic, which has nothing to do with a business, not even inside one and not even for free; for anything else ask {} for a commercial licence", "ne l’utilisez, comme ce que vous en tirez et ses réponses, que pour une recherche personnelle, scientifique ou universitaire qui n’a rien à voir avec une entreprise, pas même à l’intérieur de l’une ni gratuitement ; pour tout le reste, demandez une licence commerciale à {}"],
  ["pass a copy of the terms on with it and with what you make from it, and a file “Notice” that says “{}”; say what you changed; the model stays for research", "transmettez une copie des conditions avec lui et avec ce que vous en tirez, et un fichier « Notice » qui dit « {} » ; dites ce que vous avez modifié ; le modèle reste réservé à la recherche"],
  ["a mixture of experts", "un mélange d’experts"],
  ["attention sinks", "puits d’attention"],
  ["latent attention", "attention latente"],
  ["layer norms and biases", "normalisations de couche et biais"],
  ["layers without positions", "couches sans positions"],
  ["norms of values", "normalisation des valeurs"],
  ["positions on a part of each head", "positions sur une partie de chaque tête"],
  ["queries that grow with their position", "requêtes qui croissent avec leur position"],
  ["recurrent layers", "couches récurrentes"],
  ["scaled residuals", "résidus mis à l’échelle"],
  ["soft caps", "plafonds doux"],
  ["a family that the kernels don't know", "une famille que les noyaux ne connaissent pas"],
  ["numbers stored as {}", "nombres stockés en {}"],
  ["Text only here; three layers in four look back 8192 tokens.", "Texte seulement ici ; trois couches sur quatre regardent 8192 tokens en arrière."],
  ["A base model: it continues text and was not taught to answer.", "Un modèle de base : il continue un texte et n’a pas appris à répondre."],
];

const escaped = (/** @type {string} */ text) => text.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
const PATTERNS = FRENCH.map(([english, french]) => ({ pattern: new RegExp(`^${escaped(english).replaceAll("{}", "(.+?)")}$`, "s"), french }));

/**
 * A sentence in French, or null if nobody has put it into French yet.
 * @param {string} sentence
 */
export function inFrench(sentence) {
  for (const { pattern, french } of PATTERNS) {
    const found = pattern.exec(sentence);
    if (found) return found.slice(1).reduce((text, part) => text.replace("{}", () => part), french);
  }
  return null;
}

/** A sentence in the page's language, or in English if it is not known. @param {string} sentence */
export const plain = (sentence) => (locale === "fr" ? inFrench(sentence) ?? sentence : sentence);
